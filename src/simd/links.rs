//! Layer 0: lanes of one register that go to lanes of another, as a product's registers are filled and emptied.

/// Which lanes of one vector replace which of another.
pub(crate) trait Links<S>: Copy {
    /// The lanes whose bit is set to lane `place` and those after it; as many fit there.
    fn gathering(s: S, bits: u32, place: usize) -> Self;

    /// Lane `place` and those after it to the lanes whose bit is set.
    fn scattering(s: S, bits: u32, place: usize) -> Self;
}

/// Links for levels without an instruction for them, which move lanes one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLinks {
    /// Of which lane each is a copy.
    from: [u8; 16],
    /// Bit `i` is set where lane `i` is replaced.
    to: u32,
}

impl<S> Links<S> for LaneLinks {
    fn gathering(_: S, bits: u32, place: usize) -> Self {
        let mut links = Self { from: [0; 16], to: 0 };
        for (rank, lane) in chosen(bits).enumerate() {
            links.add(lane, place + rank);
        }
        links
    }

    fn scattering(_: S, bits: u32, place: usize) -> Self {
        let mut links = Self { from: [0; 16], to: 0 };
        for (rank, lane) in chosen(bits).enumerate() {
            links.add(place + rank, lane);
        }
        links
    }
}

impl LaneLinks {
    fn add(&mut self, from: usize, to: usize) {
        self.from[to] = from as u8;
        self.to |= 1 << to;
    }

    /// `old` with its linked lanes replaced.
    pub(super) fn link<T: Copy>(&self, mut old: [T; 16], from: [T; 16]) -> [T; 16] {
        for to in chosen(self.to) {
            old[to] = from[usize::from(self.from[to])];
        }
        old
    }
}

/// The numbers of the bits that are set.
fn chosen(bits: u32) -> impl Iterator<Item = usize> {
    (0..16).filter(move |lane| bits >> lane & 1 == 1)
}
