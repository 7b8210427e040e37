//! Layer 4: which features belong to which member of a team.
//!
//! A member owns some features of every value, and with them the rows of the kernel that reads it. Where layers are passed by features,
//! only the owner touches these weights, but for penalties and norms: they stay in its caches, and no store to them waits for another
//! core to give up its copy. What members hand to each other are activations and their gradients, which are smaller.

use std::ops::Range;

use super::plan::{DensePlace, Plan};
use crate::gemm::panel::columns_of_blocks;
use crate::simd::Element;

/// The features, of `width`, of member `index` of `size`: whole vectors, but for the last, and where shares differ earlier members have
/// more, since they start first.
pub(crate) fn own<T: Element>(width: usize, index: usize, size: usize) -> Range<usize> {
    let border = |i: usize| match i {
        _ if i == size => width,
        _ => ((2 * i * width + size * T::LANES) / (2 * size * T::LANES) * T::LANES).min(width),
    };
    border(index)..border(index + 1)
}

/// Weights of a kernel that is worth owning: members that share out features meet twice a layer, and wait for each other's pieces.
const WORTH: usize = 1 << 16;

/// The layers before this one are passed by features. It is the first dense layer after which no kernel is worth owning: from there on
/// each member takes its own panels through the network, there and back, without meeting others.
pub(crate) fn by_features(plan: &Plan) -> usize {
    let worth = |place: &DensePlace| place.inputs * place.outputs >= WORTH;
    match plan.dense.iter().rposition(worth) {
        Some(last) => plan.dense.get(last + 1).map_or(plan.layers.len(), |next| next.layer),
        None => 0,
    }
}

/// Outputs that a member computes before it hands them on to the next, which has nothing else to do while the first are computed: whole
/// vectors.
const NARROW: usize = 32;

/// The same of wide layers: as many vectors as row groups pack at a time.
const WIDE: usize = 128;

/// Cuts the `width` outputs of a layer into pieces, each of features of one member, in ascending order: `size` members add to a piece one
/// after another.
pub(crate) fn pieces<T: Element>(width: usize, size: usize) -> Vec<Range<usize>> {
    if size == 1 {
        return columns_of_blocks::<T>(width);
    }
    let step = if width < 4 * WIDE { NARROW } else { WIDE };
    let mut pieces = Vec::new();
    for Range { start, end } in (0..size).map(|index| own::<T>(width, index, size)) {
        pieces.extend((start..end).step_by(step).map(|first| first..end.min(first + step)));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_pieces_cover_all_features_once_in_order() {
        for width in (1..70).chain([100, 200, 784, 1024, 4096]) {
            for size in 1..10 {
                let mut next = 0;
                for index in 0..size {
                    let own = own::<f32>(width, index, size);
                    assert!(own.start == next && own.end >= own.start, "{width} {size} {index}: {own:?}");
                    next = own.end;
                }
                assert_eq!(next, width);
                let mut next = 0;
                for piece in pieces::<f32>(width, size) {
                    assert!(piece.start == next && piece.end > piece.start, "{width} {size}: {piece:?}");
                    let owner = (0..size).filter(|&index| {
                        let own = own::<f32>(width, index, size);
                        own.start <= piece.start && piece.end <= own.end
                    });
                    assert!(size == 1 || owner.count() > 0, "{width} {size}: {piece:?}");
                    next = piece.end;
                }
                assert_eq!(next, width);
            }
        }
    }
}
