//! The command line. Each command is one file with one function.

mod analysis;
mod config;
mod cut;
mod cut_file;
mod demo;
mod frame;
mod index;
mod output;
mod probe;
mod serve;
mod source;
mod storyboard;
mod thumbnail;
mod waveform;

use crate::app;
use crate::config::{Config, Sources, environment, load};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A media server for archives of live video.
#[derive(Debug, Parser)]
#[command(name = "moviola", version, about)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an archive over HTTP.
    Serve,
    /// Make a small archive to look at: two qualities, a hole, a segment that stops early.
    Demo(demo::Arguments),
    /// Say what a file of media is, as JSON.
    Probe(probe::Arguments),
    /// Cut ranges of the archive, or of a file, exactly, one after the other; the output's extension says what they are
    /// wrapped in.
    Cut(cut::Arguments),
    /// Write the picture on screen at an instant, as PNG or JPEG.
    Frame(Box<frame::Arguments>),
    /// Draw the sound of a span of the archive, or of a file, as a picture or as numbers for players.
    Waveform(Box<waveform::Arguments>),
    /// Write a frame in a template, as PNG, JPEG or WebP.
    Thumbnail(Box<thumbnail::Arguments>),
    /// Write sheets of small pictures of the archive or of a file, with the texts that players find them by.
    Storyboard(Box<storyboard::Storyboard>),
    /// Write a sheet of pictures with their times, for people.
    ContactSheet(storyboard::Contact),
    /// Say how loud a span of the archive, or a file, is (EBU R128), as JSON.
    Loudness(analysis::Loudness),
    /// Say where nothing is heard, as JSON.
    Silence(analysis::Silence),
    /// Say where scenes change, as JSON.
    Scenes(analysis::Scenes),
    /// Make what the server keeps of segments before anybody asks for it: frame indexes, and with --pictures and --peaks
    /// what storyboards and waveforms are drawn from.
    Index(index::Arguments),
    /// Print the effective configuration as TOML.
    Config,
}

/// Where the configuration comes from; every command takes these.
#[derive(Debug, Args)]
struct Options {
    /// The archive's directory.
    #[arg(long, global = true, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// The address to serve on.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// What is logged, for example info or debug.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", env = "MOVIOLA_CONFIG")]
    config: Option<PathBuf>,
    /// Any key of the configuration, for example pool.batch_seats=2; may be given again.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Options {
    fn load(&self) -> Result<Config, String> {
        let mut flags = Vec::new();
        for pair in &self.set {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("--set wants KEY=VALUE, not '{pair}'"))?;
            flags.push((key.trim().to_owned(), value.to_owned()));
        }
        if let Some(archive) = &self.archive {
            let text = archive.to_str().ok_or("the archive's directory must be named in UTF-8")?;
            flags.push(("archive".into(), text.to_owned()));
        }
        let named = [("listen", &self.listen), ("log", &self.log)];
        flags.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        load(&Sources { file: self.config.as_deref(), environment: environment(), flags })
    }
}

/// Runs what the command line says. Exit code 2 means the configuration is at fault, 1 the work.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let config = match cli.options.load() {
        Ok(config) => config,
        Err(fault) => {
            eprintln!("moviola: {fault}");
            return ExitCode::from(2);
        }
    };
    if let Err(fault) = log_to_stderr(&config.log) {
        eprintln!("moviola: {fault}");
        return ExitCode::from(2);
    }
    app::settle_memory();
    let done = match cli.command {
        Command::Serve => serve::run(config),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Cut(arguments) => cut::run(config, arguments),
        Command::Frame(arguments) => frame::run(config, &arguments),
        Command::Waveform(arguments) => waveform::run(config, &arguments),
        Command::Thumbnail(arguments) => thumbnail::run(config, &arguments),
        Command::Storyboard(arguments) => storyboard::storyboard(config, &arguments),
        Command::ContactSheet(arguments) => storyboard::contact(config, &arguments),
        Command::Loudness(arguments) => analysis::loudness(config, &arguments),
        Command::Silence(arguments) => analysis::silence(config, &arguments),
        Command::Scenes(arguments) => analysis::scenes(config, &arguments),
        Command::Index(arguments) => index::run(config, &arguments),
        Command::Config => config::run(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
            eprintln!("moviola: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for work on the pool, which the commands share with the server.
fn wait<T>(work: impl Future<Output = crate::base::Result<T>>) -> crate::base::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime
        .map_err(|fault| crate::base::Error::io("the runtime could not be started", &fault))?
        .block_on(work)
}

/// What comes before the filter that is configured, which can ask for these targets again. actix logs an error for
/// each request that is no HTTP: anybody could fill the disk with them.
const QUIET: &str = "actix_http=off,actix_server=warn";

fn log_to_stderr(filter: &str) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|fault| format!("log: {fault}"))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    subscriber.with_writer(std::io::stderr).try_init().map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_win_over_set() {
        let cli = Cli::parse_from([
            "moviola",
            "serve",
            "--archive",
            "/a",
            "--set",
            "cut.crf=20",
            "--set",
            "archive=/b",
        ]);
        let config = cli.options.load().unwrap();
        assert_eq!((config.archive, config.cut.crf), (PathBuf::from("/a"), 20));
        let cli = Cli::parse_from(["moviola", "config", "--set", "crf"]);
        assert!(cli.options.load().unwrap_err().contains("KEY=VALUE"));
    }
}
