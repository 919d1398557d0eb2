//! `tableferry completions`: what a shell needs to complete command lines.

use clap::{Args, Command};
use clap_complete::Shell;

/// Print completions for a shell
///
/// bash: source <(tableferry completions bash). zsh: a file _tableferry in a folder of $fpath.
/// fish: a file ~/.config/fish/completions/tableferry.fish
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

impl Completions {
    /// Writes the completions of this command line.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn run(self, mut command: Command) -> std::io::Result<()> {
        // Into memory first: the generator panics when its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "tableferry", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)
    }
}
