//! `palisade health`: asks the running service whether it is ready.

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anstream::println;

use super::{Exit, Shell, render};
use crate::http::Address;

/// How long the service may take: less than a container's health check does.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than `/readyz` answers.
const LARGEST: u64 = 1024 * 1024;

pub(super) fn run(shell: &Shell) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let address = &configuration.config.server.ops_listen;
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
            println!("{}", body(&answer));
            Exit::Good
        }
        Ok(answer) => {
            println!("{}", body(&answer));
            Exit::Problems
        }
        Err(error) => {
            render::failure(
                &format!("nobody answers at `{address}`: {error}"),
                Some("`server.ops_listen` says where the service listens"),
            );
            Exit::Problems
        }
    }
}

fn ask(address: &Address) -> io::Result<String> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(&reachable(*address), PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl io::Read + io::Write) -> io::Result<String> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LARGEST).read_to_string(&mut answer)?;
    Ok(answer)
}

/// A service that listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or(answer, |(_, body)| body)
}
