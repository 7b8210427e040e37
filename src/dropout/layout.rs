//! Layer 2: arrays of any rank and layout as loops over runs.
//!
//! Every axis has a size and three steps: of the input, of the output (bytes) and of the noise (elements). Broadcast noise
//! is a step of 0; row groups are one more axis. Axes that continue one another are merged, so that the common
//! cases end with one or two axes.

/// One axis of the loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// How many positions.
    pub(crate) size: usize,
    /// Bytes from one input position to the next.
    pub(crate) input: isize,
    /// Bytes from one output position to the next.
    pub(crate) output: isize,
    /// Noise elements from one position to the next; 0 where all positions share their decisions.
    pub(crate) noise: u64,
}

impl Axis {
    /// Whether `self` goes on where `inner` ends, so that both are one axis.
    fn continues(&self, inner: &Self) -> bool {
        let size = inner.size as isize;
        self.input == size * inner.input
            && self.output == size * inner.output
            && self.noise == inner.size as u64 * inner.noise
    }
}

/// Merged axes, outermost first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    axes: Vec<Axis>,
}

impl Layout {
    /// Merges axes where the next continues the last, and drops axes of size 1.
    pub(crate) fn new(axes: impl IntoIterator<Item = Axis>) -> Self {
        let mut merged: Vec<Axis> = Vec::new();
        for axis in axes.into_iter().filter(|axis| axis.size != 1) {
            match merged.last_mut() {
                Some(last) if last.continues(&axis) => *last = Axis { size: last.size * axis.size, ..axis },
                _ => merged.push(axis),
            }
        }
        if merged.is_empty() {
            merged.push(Axis { size: 1, input: 0, output: 0, noise: 1 });
        }
        Self { axes: merged }
    }

    /// The innermost axis.
    pub(crate) fn inner(&self) -> Axis {
        self.axes[self.axes.len() - 1]
    }

    /// The axes around the innermost.
    pub(crate) fn outer(&self) -> &[Axis] {
        &self.axes[..self.axes.len() - 1]
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// Whether there are no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.axes.iter().any(|axis| axis.size == 0)
    }

    /// Whether this is one run of elements of `bytes` bytes, each with a decision of its own.
    pub(crate) fn is_contiguous(&self, bytes: usize) -> bool {
        let axis = self.axes[0];
        self.axes.len() == 1 && axis.noise == 1 && (axis.size == 1 || axis.is_dense(bytes))
    }
}

impl Axis {
    /// Whether elements of `bytes` bytes lie side by side in input and output.
    pub(crate) fn is_dense(&self, bytes: usize) -> bool {
        self.input == bytes as isize && self.output == bytes as isize
    }
}

/// Where a position of the outer axes lies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Bytes from the input's start.
    pub(crate) input: isize,
    /// Bytes from the output's start.
    pub(crate) output: isize,
    /// Noise elements from the offset.
    pub(crate) noise: u64,
}

/// Walks over the positions of some axes in C order.
pub(crate) struct Walk<'a> {
    axes: &'a [Axis],
    index: Vec<usize>,
    place: Place,
}

impl<'a> Walk<'a> {
    /// Starts at position number `start` of the axes.
    pub(crate) fn from(axes: &'a [Axis], start: usize) -> Self {
        let mut index = vec![0; axes.len()];
        let mut place = Place::default();
        let mut rest = start;
        for (i, axis) in axes.iter().enumerate().rev() {
            index[i] = rest % axis.size;
            rest /= axis.size;
            place.input += index[i] as isize * axis.input;
            place.output += index[i] as isize * axis.output;
            place.noise += index[i] as u64 * axis.noise;
        }
        Self { axes, index, place }
    }

    /// The current position.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Goes on by one position; after the last comes the first.
    pub(crate) fn advance(&mut self) {
        self.advance_by(1);
    }

    /// How many positions are left on the innermost axis.
    pub(crate) fn row(&self) -> usize {
        match (self.axes, &self.index[..]) {
            ([.., axis], [.., index]) => axis.size - index,
            _ => 1,
        }
    }

    /// Goes on by at most [`Walk::row`] positions.
    pub(crate) fn advance_by(&mut self, mut count: usize) {
        for (i, axis) in self.axes.iter().enumerate().rev() {
            self.index[i] += count;
            self.place.input += count as isize * axis.input;
            self.place.output += count as isize * axis.output;
            self.place.noise = self.place.noise.wrapping_add(count as u64 * axis.noise);
            if self.index[i] < axis.size {
                return;
            }
            count = 1;
            self.index[i] = 0;
            self.place.input -= axis.size as isize * axis.input;
            self.place.output -= axis.size as isize * axis.output;
            self.place.noise = self.place.noise.wrapping_sub(axis.size as u64 * axis.noise);
        }
    }
}
