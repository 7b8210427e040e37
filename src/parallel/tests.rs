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
fn work_is_done_whole_where_it_is_too_little_to_share() {
    let parts = AtomicUsize::new(0);
    for_each_part(Effort::of(1), 10, 1, |range| {
        assert_eq!(range, 0..10);
        parts.fetch_add(1, Ordering::Relaxed);
    });
    for_each_part(Effort::of(100).at_most(1), 10, 1, |range| {
        assert_eq!(range, 0..10);
        parts.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(parts.into_inner(), 2);
}

#[test]
fn short_work_that_comes_thick_is_shared() {
    let caller = std::thread::current().id();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let helped = AtomicUsize::new(0);
    // Elsewhere in these tests the pool may be in use: then the caller works alone.
    while num_threads() > 1 && helped.load(Ordering::Relaxed) == 0 {
        assert!(std::time::Instant::now() < deadline, "no helper came");
        let hits = [const { AtomicUsize::new(0) }; 2];
        for_each_part(Effort::of(2), 2, 1, |range| {
            let start = std::time::Instant::now();
            while start.elapsed() < std::time::Duration::from_micros(20) {}
            helped.fetch_add(usize::from(std::thread::current().id() != caller), Ordering::Relaxed);
            for hit in &hits[range] {
                hit.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(hits.iter().all(|hit| hit.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn a_panic_of_a_part_reaches_the_caller_and_the_pool_goes_on() {
    for _ in 0..200 {
        let outcome = std::panic::catch_unwind(|| {
            for_each_range(1000, 2, |range| assert!(!range.contains(&700), "part fails"));
        });
        assert!(outcome.is_err());
        let sum = AtomicUsize::new(0);
        for_each_range(1000, 2, |range| {
            sum.fetch_add(range.sum(), Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 1000 * 999 / 2);
    }
}

/// Runs parts on a worker of one's own.
fn parts(workers: &workers::Workers, parts: usize, work: impl Fn(usize) + Sync) {
    let mut policy = policy::HelpPolicy::default();
    parts::run_parts((workers, &mut policy), (1, policy::Call::Everybody), parts, &|_, part| work(part));
}

#[test]
fn a_worker_that_does_not_come_keeps_nobody_waiting() {
    // The only thread of the pool is busy until the caller is through.
    let workers = workers::Workers::new(1).expect("a thread");
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = std::sync::mpsc::channel();
    workers.threads().spawn(move || {
        entered.send(()).expect("the test listens");
        let _ = wait.recv();
    });
    inside.recv().expect("the thread runs");
    for _ in 0..3 {
        let done = AtomicUsize::new(0);
        parts(&workers, 100, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 100);
    }
    // It finds the last job, which is over, and waits for the next.
    drop(release);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let helped = AtomicUsize::new(0);
    let caller = std::thread::current().id();
    while helped.load(Ordering::Relaxed) == 0 {
        assert!(std::time::Instant::now() < deadline, "no worker came");
        parts(&workers, 64, |_| {
            helped.fetch_add(usize::from(std::thread::current().id() != caller), Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_micros(50));
        });
    }
}

#[test]
fn every_part_is_done_once_by_workers_awake_parked_and_in_a_team() {
    let pauses = [0, 0, 20, 0, 150, 0, 0, 0, 0, 0, 0, 300];
    for round in 0..600 {
        std::thread::sleep(std::time::Duration::from_micros(pauses[round % pauses.len()]));
        if round % 7 == 0 {
            team(2, |member| member.wait());
        }
        let hits: Vec<AtomicUsize> = (0..300).map(|_| AtomicUsize::new(0)).collect();
        let grain = [1, 100, 200][round % 3];
        for_each_range(300, grain, |range| {
            for hit in &hits[range] {
                hit.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(hits.iter().all(|hit| hit.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn a_worker_spins_for_the_next_job_and_parks_when_none_comes() {
    let workers = workers::Workers::new(1).expect("a thread");
    assert_eq!(workers.waiting(1), 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while workers.waiting(1) == 0 {
        assert!(std::time::Instant::now() < deadline, "no worker waits");
        workers.call_in(1);
        // On a machine with more work than cores the worker gets this one.
        std::thread::sleep(std::time::Duration::from_micros(30));
    }
    while workers.waiting(1) > 0 {
        assert!(std::time::Instant::now() < deadline, "the worker does not park");
    }
}

#[test]
fn turns_of_changing_size_are_taken_by_all_their_members() {
    let mut policy = TeamPolicy::default();
    policy.prepare(1, 3, 3);
    let sum = AtomicUsize::new(0);
    let mut team = Team::new(3, &mut policy);
    for turn in 0..3_000 {
        if turn % 500 == 499 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let (before, sizes) = (sum.load(Ordering::SeqCst), AtomicUsize::new(0));
        team.turn(1, &|member| {
            sum.fetch_add(1, Ordering::SeqCst);
            member.wait();
            assert_eq!(sum.load(Ordering::SeqCst) - before, member.size);
            member.hand_on();
            member.wait_for(member.size - 1, member.handed_on());
            sizes.fetch_add(member.size, Ordering::SeqCst);
        });
        let size = sum.load(Ordering::SeqCst) - before;
        assert_eq!(sizes.into_inner(), size * size);
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
fn pieces_are_handed_on_in_order() {
    const PIECES: usize = 500;
    let cells = [const { AtomicUsize::new(0) }; PIECES];
    team(2, |member| {
        for (piece, cell) in cells.iter().enumerate() {
            if member.index > 0 {
                member.wait_for(member.index - 1, piece + 1);
            }
            assert_eq!(cell.load(Ordering::Relaxed), member.index);
            cell.store(member.index + 1, Ordering::Relaxed);
            member.hand_on();
            assert_eq!(member.handed_on(), piece + 1);
            if piece % 100 == 0 {
                // Long enough for who waits to fall asleep.
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        member.wait_for(member.size - 1, PIECES);
        assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == member.size));
    });
}

#[test]
fn a_panic_frees_who_waits_for_a_piece() {
    let outcome = std::panic::catch_unwind(|| {
        team(2, |member| {
            assert!(member.index + 1 < member.size, "last member fails");
            member.wait_for(member.size - 1, 1);
        });
    });
    assert!(outcome.is_err());
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
    assert!(set_num_threads(MAX_THREADS + 1).is_err());
}

#[test]
fn a_limit_holds_in_its_thread_and_is_put_back() {
    let all = std::thread::spawn(|| {
        let before = set_limit(1);
        let (limited, elsewhere) = (num_threads(), std::thread::spawn(num_threads).join().unwrap());
        set_limit(before);
        assert_eq!(limited, 1);
        assert_eq!(elsewhere, num_threads());
        set_limit(0);
        num_threads()
    });
    assert_eq!(all.join().unwrap(), 1);
}
