//! A pseudo-terminal: the exporter as somebody uses it by hand, with the screen that he sees.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::exporter::{TIMEOUT, binary};

/// More lines than any output has, so that none scrolls away.
const ROWS: u16 = 500;

/// The exporter in the foreground of a terminal; it is killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Everything that was printed, with its control sequences.
    pub raw: String,
}

impl Terminal {
    /// Starts the exporter in a terminal of that many columns.
    pub fn start(columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("a terminal");
        unlockpt(&terminal).expect("a terminal");
        let size = Winsize {
            ws_row: ROWS,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("a size");
        let path = ptsname(&terminal, Vec::new()).expect("a name");
        let path = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .expect("a terminal")
        };
        // The controlling terminal, which sends SIGINT at Ctrl-C.
        let mut command = Command::new("setsid");
        command.arg("--ctty");
        // A job in the background of a script ignores SIGINT, and so would all that it starts.
        command.args(["env", "--default-signal=INT"]);
        command.arg(binary()).args(arguments);
        for (name, _) in std::env::vars() {
            if name.starts_with("CCASS2FA_") || name.starts_with("CLICOLOR") || name == "NO_COLOR" {
                command.env_remove(name);
            }
        }
        command.env("TERM", "xterm-256color");
        command.envs(environment.iter().copied());
        command.stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().expect("setsid starts");
        let keyboard = File::from(terminal);
        let mut reader = keyboard.try_clone().expect("a file");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails when no process has the terminal open any more.
            while let Ok(size @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..size].to_vec()).is_err() {
                    break;
                }
            }
        });
        // The command holds the terminal open too.
        drop(command);
        Self {
            child,
            keyboard,
            output,
            screen: vt100::Parser::new(ROWS, columns, 0),
            raw: String::new(),
        }
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen shows `part`.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        self.wait_until(part, |terminal| terminal.screen().contains(part));
    }

    /// Waits until `condition` holds; `what` is for the message if it never does.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !condition(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.show(&bytes),
                Err(error) => panic!("no {what:?} on the screen ({error}):\n{}", self.screen()),
            }
        }
    }

    /// Types a line and presses Enter.
    pub fn type_line(&mut self, text: &str) {
        self.keyboard
            .write_all(format!("{text}\r").as_bytes())
            .expect("the terminal is open");
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.keyboard
            .write_all(b"\x03")
            .expect("the terminal is open");
    }

    /// Waits for the end; returns the exit code and the screen.
    pub fn finish(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + TIMEOUT;
        while let Ok(bytes) = {
            let left = deadline.saturating_duration_since(Instant::now());
            self.output.recv_timeout(left)
        } {
            self.show(&bytes);
        }
        assert!(
            Instant::now() < deadline,
            "no end within {TIMEOUT:?}:\n{}",
            self.screen()
        );
        let status = self.child.wait().expect("a status");
        (status.code(), self.screen())
    }

    fn show(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.raw.push_str(&String::from_utf8_lossy(bytes));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
