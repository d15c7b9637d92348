//! Parses arguments, loads the configuration, runs, says how it went.

fn main() -> std::process::ExitCode {
    moviola::cli::run()
}
