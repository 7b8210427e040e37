//! Threads: everybody runs, barriers hold, failures reach the caller.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn ranges_cover_everything_once() {
    for count in [0, 1, 7, 1000] {
        let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        for_each_range(count, 2, |range| {
            for hit in &hits[range] {
                hit.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(hits.iter().all(|hit| hit.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn nobody_passes_a_barrier_early() {
    let arrived = AtomicUsize::new(0);
    team(3, |member| {
        for step in 0..2_000 {
            arrived.fetch_add(1, Ordering::SeqCst);
            member.wait();
            assert_eq!(arrived.load(Ordering::SeqCst), (step + 1) * member.size);
            member.wait();
        }
    });
}

#[test]
fn a_panic_of_one_member_frees_the_others_and_reaches_the_caller() {
    let outcome = std::panic::catch_unwind(|| {
        team(2, |member| {
            assert!(member.index + 1 < member.size, "last member fails");
            member.wait();
        });
    });
    assert!(outcome.is_err());
}

#[test]
fn a_team_inside_a_team_works_alone() {
    team(2, |outer| {
        for _ in 0..100 {
            team(2, |inner| {
                assert!(inner.size == 1 || outer.size == 1, "the pool was given away twice");
            });
        }
    });
}

#[test]
fn bad_numbers_of_threads_are_refused() {
    assert!(set_num_threads(0).unwrap_err().to_string().contains("num_threads=0"));
    assert!(configure("many").unwrap_err().to_string().contains("\"many\""));
}
