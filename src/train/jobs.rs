//! Layer 4: sums over weights cut into jobs.
//!
//! A job is some rows of one kernel; the first job of a layer also has its bias. Jobs depend on sizes alone, so that
//! what is summed for each, penalties and squares of gradients, does not depend on the number of threads.

use std::ops::Range;

use super::plan::Plan;

/// Rows of a kernel in a job.
const JOB_ROWS: usize = 48;

/// Some rows of a kernel.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Index among the dense layers.
    pub(crate) dense: usize,
    /// Rows of the kernel.
    pub(crate) rows: Range<usize>,
}

/// The jobs of a plan, in order of the layers.
pub(crate) fn jobs(plan: &Plan) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (dense, place) in plan.dense.iter().enumerate() {
        for start in (0..place.inputs).step_by(JOB_ROWS) {
            jobs.push(Job { dense, rows: start..place.inputs.min(start + JOB_ROWS) });
        }
    }
    jobs
}

/// Member `index` of `size`'s contiguous share of the jobs: those whose middle, in elements of gradient, lies in its part
/// of the whole.
pub(crate) fn share(jobs: &[Job], plan: &Plan, index: usize, size: usize) -> Range<usize> {
    let weight = |job: &Job| job.rows.len() * plan.dense[job.dense].outputs;
    let total: usize = jobs.iter().map(weight).sum();
    let (mut start, mut end, mut before) = (0, 0, 0);
    for job in jobs {
        let owner = (2 * before + weight(job)) * size / (2 * total);
        start += usize::from(owner < index);
        end += usize::from(owner <= index);
        before += weight(job);
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::layer::{Dense, Layer, Limits};

    #[test]
    fn shares_cover_all_jobs_once_in_order() {
        let dense = |units| Layer::Dense(Dense { units, kernel: Limits::default(), bias: Some(Limits::default()) });
        let plan = Plan::new(vec![dense(200), dense(100), dense(10), dense(1)], 784).unwrap();
        let jobs = jobs(&plan);
        for size in 1..30 {
            let mut next = 0;
            for index in 0..size {
                let share = share(&jobs, &plan, index, size);
                assert_eq!(share.start, next);
                next = share.end;
            }
            assert_eq!(next, jobs.len());
        }
    }
}
