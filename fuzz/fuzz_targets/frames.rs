#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pointsman_fuzz::run(pointsman_fuzz::wire::frames, data));
