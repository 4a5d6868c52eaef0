//! CPU and wall time of a piece of work, its threads and children included.

use std::time::Instant;

/// What a piece of work took.
pub struct Cpu {
    /// CPU of this process, its threads and its ended children, s.
    pub cpu: f64,
    /// Wall time, s.
    pub wall: f64,
}

/// Does it until it took long enough for the kernel's clock of CPU, which ticks every 10 ms.
pub fn of(work: &dyn Fn()) -> Cpu {
    let (begun, before, mut times) = (Instant::now(), used(), 0.0);
    while used() - before < 0.5 {
        work();
        times += 1.0;
    }
    Cpu { cpu: (used() - before) / times, wall: begun.elapsed().as_secs_f64() / times }
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// CPU used so far, s.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit_once(") ").expect("it has a name").1;
    // utime, stime, cutime, cstime: the fields 14 to 17, of which the name was the second.
    let ticks: f64 = after_name.split(' ').skip(11).take(4).map(|field| field.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}
