//! `tableferry completions`.

use clap::{Args, Command};
use clap_complete::Shell;

/// Print shell completions
///
/// bash: source <(tableferry completions bash). zsh: save as _tableferry in a folder of $fpath.
/// fish: save as ~/.config/fish/completions/tableferry.fish
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

impl Completions {
    pub fn run(self, mut command: Command) -> std::io::Result<()> {
        // Into memory first: the generator panics when its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "tableferry", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)
    }
}
