//! The binary: reads the settings, then serves, checks or prints.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use api::config::{self, Cli, Command, Config, ExportArgs, ServerArgs};
use api::demo::Stage;
use api::telemetry::{self, Telemetry};
use api::upstream::Upstream;
use api::wiring::Server;
use api::{check, export, probe, serve, wiring};
use tikv_jemallocator::Jemalloc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Measured: large texts come and go, and glibc gives their memory back to the system each time.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let done = match cli.command {
        None => serve(&cli.config),
        Some(Command::Check(config)) => return check(&config),
        Some(Command::Demo(config)) => demo(*config),
        Some(Command::Export(args)) => export(*args),
        Some(Command::Health(server)) => return health(&server),
        Some(Command::Openapi) => print_openapi(),
        Some(Command::Settings) => print(&config::markdown()),
        Some(Command::Completions { shell }) => print(&config::completions(shell)),
        Some(Command::Man) => print(&config::manual()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not a log line: the logs may not have begun, and a person is reading.
            let _ = writeln!(io::stderr(), "trace-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &Config) -> Result<(), Box<dyn Error>> {
    let (runtime, _telemetry) = begun(config)?;
    runtime.block_on(async { run(wiring::server(config).await?, |_| Ok(())).await })
}

fn demo(mut config: Config) -> Result<(), Box<dyn Error>> {
    let (runtime, _telemetry) = begun(&config)?;
    runtime.block_on(async {
        let stage = Stage::set(&mut config).await?;
        let prepared = async {
            let server = wiring::server(&config).await?;
            let source = Upstream::of(&config.mlflow)?.source();
            let session = stage.fill(&server.services, source.as_ref()).await?;
            Ok::<_, Box<dyn Error>>((server, session))
        };
        // Stopped before it serves, it leaves no folder behind either.
        let (server, session) = tokio::select! {
            prepared = prepared => prepared?,
            () = serve::told_to_stop() => return Ok(()),
        };
        run(server, |base| stage.suggest(base, &session, &mut io::stderr())).await
    })
}

fn export(args: ExportArgs) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    Ok(runtime.block_on(export::run(args))?)
}

/// What everything runs on, and what is told of it.
fn begun(config: &Config) -> Result<(Runtime, Telemetry), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let telemetry = telemetry::start(config, runtime.handle())?;
    Ok((runtime, telemetry))
}

/// Serves until told to stop; `listening` is told the address.
async fn run(server: Server, listening: impl FnOnce(&str) -> io::Result<()>) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(server.address).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; choose another --host or --port",
            server.address
        )
    })?;
    let address = listener.local_addr()?;
    // Not before: where the address is taken, the server that has it may have jobs.
    server.services.tell_interrupted_jobs().await?;
    if server.is_open_to_all && !address.ip().is_loopback() {
        tracing::warn!("everyone who can reach {address} is a developer; set DEVELOPERS and a trusted proxy");
    }
    tracing::info!(
        upstream = server.upstream,
        reviews = server.reviews,
        "listening on http://{address}"
    );
    listening(&format!("http://{address}"))?;
    serve::serve(
        listener,
        server.router,
        async {
            serve::told_to_stop().await;
            // Whoever watches one sees it end.
            server.services.interrupt_jobs();
        },
        server.limits,
        server.ending,
        // Writes go on when those who asked for them have left.
        server.services.settle(),
    )
    .await;
    tracing::info!("stopped");
    Ok(())
}

fn check(config: &Config) -> ExitCode {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(check::run(config, &mut anstream::stdout())),
        Err(_) => ExitCode::FAILURE,
    }
}

fn health(server: &ServerArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_or(ExitCode::FAILURE, |runtime| runtime.block_on(probe::run(server)))
}

fn print_openapi() -> Result<(), Box<dyn Error>> {
    let config = Cli::without_environment()?.config;
    print(&wiring::openapi(&config)?)
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
