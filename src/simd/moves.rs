//! Layer 0: tables of where lanes come from, for levels that have no instruction to pack or spread them.

/// For each choice of eight lanes, the chosen ones in order.
pub(super) static PACK: [[u8; 8]; 256] = moves(true);

/// For each choice of eight lanes, how many are chosen below each lane.
pub(super) static SPREAD: [[u8; 8]; 256] = moves(false);

const fn moves(pack: bool) -> [[u8; 8]; 256] {
    let mut moves = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut lane, mut chosen) = (0, 0);
        while lane < 8 {
            if !pack {
                moves[bits][lane] = chosen;
            }
            if bits >> lane & 1 == 1 {
                if pack {
                    moves[bits][chosen as usize] = lane as u8;
                }
                chosen += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    moves
}

/// The bits of sixteen lanes.
#[inline(always)]
pub(super) fn lanes_f32(bits: u32) -> u32 {
    bits
}

/// The bits of eight lanes, each as two of half the width.
#[inline(always)]
pub(super) fn lanes_f64(bits: u32) -> u32 {
    let apart = (bits | bits << 4) & 0x0F0F;
    let apart = (apart | apart << 2) & 0x3333;
    let apart = (apart | apart << 1) & 0x5555;
    apart * 3
}
