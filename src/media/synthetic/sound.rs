//! What is heard in a made-up stream.

/// Samples a second.
pub const RATE: u32 = 48_000;

/// Two voices: a sweep that swells and rests, bursts of noise, and a tick at every whole second. In libavfilter's
/// language, stereo.
pub const SONG: &str = "aevalsrc=exprs='\
    0.35*sin(2*PI*(150*mod(t\\,37)+25*pow(mod(t\\,37)\\,2)))*(0.15+0.85*pow(sin(PI*t/23)\\,2))*gte(mod(t\\,19)\\,3)\
    +0.5*(random(0)*2-1)*lt(mod(t\\,11.3)\\,0.8)+0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.02)\
    |0.3*sin(2*PI*(225*mod(t\\,37)+37*pow(mod(t\\,37)\\,2)))*(0.15+0.85*pow(cos(PI*t/31)\\,2))\
    +0.4*(random(1)*2-1)*lt(mod(t\\,13.7)\\,1.1)+0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.02)'\
    :s=48000:c=stereo";

/// Clicks whose places tell which they are: pair `k` is a sample up at k · [`clicks::PERIOD`] and one down
/// [`clicks::gap`] later. Between them is silence.
pub mod clicks {
    /// From pair to pair, in samples: half a second.
    pub const PERIOD: u64 = 24_000;
    /// Pairs with gaps of their own; then they start over.
    pub const KINDS: u64 = 40;

    /// From the first click of pair `pair` to the second, in samples: 50 to 245 ms.
    pub fn gap(pair: u64) -> u64 {
        2_400 + 240 * (pair % KINDS)
    }

    /// The sample at place `at`.
    pub fn sample(at: u64) -> f32 {
        match at % PERIOD {
            0 => 0.7,
            after if after == gap(at / PERIOD) => -0.6,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::clicks;

    #[test]
    fn a_pair_of_clicks_is_known_by_its_gap() {
        let places: Vec<u64> = (0..3 * clicks::PERIOD).filter(|at| clicks::sample(*at) != 0.0).collect();
        assert_eq!(places, [0, 2_400, 24_000, 26_640, 48_000, 50_880]);
        assert!((0..clicks::KINDS).all(|pair| clicks::gap(pair) < clicks::PERIOD / 2));
    }
}
