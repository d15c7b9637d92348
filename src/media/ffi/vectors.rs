//! Plain loops in wider vectors than those of the oldest processors that this is built for.

/// Calls `work`, compiled also for processors that have AVX2 and called in that form on them: its loops over samples take half
/// the time there. Everything it calls has to be inlined into it; mark closures so.
#[inline(always)]
pub fn in_vectors<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}
