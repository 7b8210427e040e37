//! The policies with a clock of their own: what they choose, and what trying costs.

use super::*;

const MS: u64 = 1_000_000;

/// A machine on which a turn takes so long on one thread and on two; on two, every `stall.0` ns a member's core is gone for `stall.1`.
#[derive(Clone, Copy)]
struct Machine {
    alone: u64,
    two: u64,
    stall: Option<(u64, u64)>,
}

/// Runs turns until `until`; returns how many on one thread and on two.
fn run(policy: &mut TeamPolicy, machine: Machine, clock: &mut u64, until: u64) -> [u64; 2] {
    let (mut turns, mut running) = ([0; 2], 0);
    while *clock < until {
        let size = policy.size(2);
        let mut took = if size == 1 { machine.alone } else { machine.two };
        if let Some((every, lasts)) = machine.stall.filter(|_| size == 2) {
            running += took;
            if running >= every {
                (running, took) = (0, took + lasts);
            }
        }
        *clock += took;
        turns[size - 1] += 1;
        policy.done(*clock, (size, size), 1.0, took as f64);
    }
    turns
}

/// Nanoseconds a turn, of some turns in so much time.
fn each(turns: [u64; 2], time: u64) -> f64 {
    time as f64 / (turns[0] + turns[1]) as f64
}

const QUIET: Machine = Machine { alone: 283_000, two: 176_000, stall: None };
/// A spinning process takes one core away after every time slice.
const BUSY: Machine = Machine { stall: Some((3 * MS, 4 * MS)), ..QUIET };

fn fresh() -> TeamPolicy {
    let mut policy = TeamPolicy::default();
    policy.prepare(32, 2, 100);
    policy
}

#[test]
fn two_threads_are_chosen_where_they_are_faster() {
    let (mut policy, mut clock) = (fresh(), 0);
    run(&mut policy, QUIET, &mut clock, 100 * MS);
    let turns = run(&mut policy, QUIET, &mut clock, 1100 * MS);
    assert!(each(turns, 1000 * MS) < 1.015 * 176_000.0, "{turns:?}");
}

#[test]
fn one_thread_is_chosen_on_a_busy_machine_and_trying_costs_little() {
    let (mut policy, mut clock) = (fresh(), 0);
    run(&mut policy, BUSY, &mut clock, 500 * MS);
    let turns = run(&mut policy, BUSY, &mut clock, 4500 * MS);
    assert!(each(turns, 4000 * MS) < 1.03 * 283_000.0, "{turns:?}");
}

#[test]
fn a_change_of_load_is_noticed_both_ways() {
    let (mut policy, mut clock) = (fresh(), 0);
    run(&mut policy, QUIET, &mut clock, 1000 * MS);
    let turns = run(&mut policy, BUSY, &mut clock, 1300 * MS);
    assert!(each(turns, 300 * MS) < 1.2 * 283_000.0, "{turns:?}");
    run(&mut policy, BUSY, &mut clock, 3000 * MS);
    run(&mut policy, QUIET, &mut clock, 3600 * MS);
    let turns = run(&mut policy, QUIET, &mut clock, 3700 * MS);
    assert!(each(turns, 100 * MS) < 1.1 * 176_000.0, "{turns:?}");
}

#[test]
fn single_interruptions_are_forgiven() {
    let (mut policy, mut clock) = (fresh(), 0);
    let machine = Machine { stall: Some((300 * MS, MS)), ..QUIET };
    run(&mut policy, machine, &mut clock, 300 * MS);
    let turns = run(&mut policy, machine, &mut clock, 3300 * MS);
    assert!(each(turns, 3000 * MS) < 1.03 * 176_000.0, "{turns:?}");
}

#[test]
fn short_steps_stay_on_one_thread() {
    let (mut policy, mut clock) = (fresh(), 0);
    let machine = Machine { alone: 5_000, two: 7_000, stall: None };
    run(&mut policy, machine, &mut clock, 100 * MS);
    let turns = run(&mut policy, machine, &mut clock, 1100 * MS);
    assert!(each(turns, 1000 * MS) < 1.02 * 5_000.0, "{turns:?}");
}

#[test]
fn members_that_never_come_are_seldom_waited_for() {
    let (mut policy, mut clock, mut wanted) = (fresh(), 0, 0);
    for _ in 0..10_000 {
        let size = policy.size(2);
        clock += 283_000;
        wanted += size - 1;
        policy.done(clock, (1, size), 1.0, 283_000.0);
    }
    assert!(wanted < 2_500, "{wanted}");
}

#[test]
fn of_many_sizes_the_best_is_found() {
    let mut policy = TeamPolicy::default();
    policy.prepare(32, 16, 16);
    assert_eq!(policy.size(16), 16);
    let (mut clock, mut last) = (0, Vec::new());
    for _ in 0..20_000 {
        let size = policy.size(16);
        // Best on four.
        let took = 400_000.0 / size as f64 + 20_000.0 * size as f64;
        clock += took as u64;
        last.push(size);
        policy.done(clock, (size, size), 1.0, took);
    }
    let best = last[10_000..].iter().filter(|&&size| size == 4).count();
    assert!(best > 9_000, "{best}");
    // Another plan, or more threads: all is measured anew, and small work begins small.
    policy.prepare(64, 16, 3);
    assert_eq!(policy.size(16), 2);
}

#[test]
fn workers_are_called_for_long_jobs_or_many_short_ones() {
    let mut policy = HelpPolicy::default();
    assert_eq!(policy.call(MS, 20, false), Call::Everybody);
    assert_eq!(policy.call(MS, 2, true), Call::Awake);
    assert_eq!(policy.call(MS, 2, false), Call::Nobody);
    let calls = (1..100).find(|&i| policy.call(MS + i * 20_000, 2, false) == Call::Everybody);
    assert!(calls.is_some_and(|calls| (2..10).contains(&calls)), "{calls:?}");
    assert_eq!(policy.call(10 * MS, 19, false), Call::Nobody, "a call after a pause wakes nobody");
}

#[test]
fn workers_that_are_no_help_are_called_seldom_and_those_that_are_always() {
    let (mut policy, mut clock, mut calls) = (HelpPolicy::default(), MS, 0);
    for _ in 0..5_000 {
        clock += 200_000;
        if policy.call(clock, 30, false) == Call::Everybody {
            calls += 1;
            // The caller waits for a worker whose core is gone.
            clock += 4 * MS;
            policy.done(clock, Call::Everybody, 50_000.0, 4e6);
        }
    }
    assert!(calls < 20, "{calls}");
    clock += 1000 * MS;
    for _ in 0..100 {
        clock += 100_000;
        assert_eq!(policy.call(clock, 30, false), Call::Everybody);
        policy.done(clock, Call::Everybody, 90_000.0, 5_000.0);
    }
}
