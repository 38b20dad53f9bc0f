//! Completions for bash, zsh and fish, from the table of commands.

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::Shell;
use iam_ssh::program::commands::{COMMANDS, GLOBAL, Opt};

/// One file per shell, named as the shell looks for it.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    let shells = [(Shell::Bash, "iam-ssh.bash"), (Shell::Zsh, "_iam-ssh"), (Shell::Fish, "iam-ssh.fish")];
    shells.map(|(shell, name)| (name.to_owned(), script(shell))).into()
}

fn script(shell: Shell) -> Vec<u8> {
    let generated = |name: &str| {
        let mut out = Vec::new();
        clap_complete::generate(shell, &mut tool(), name, &mut out);
        out
    };
    if shell != Shell::Bash {
        return generated("iam-ssh");
    }
    // With a hyphen in the name, clap_complete's script for bash finds no options of commands (clap issue 6421). So it
    // gets another name, which is put right where the script says for which program it is.
    let script = String::from_utf8_lossy(&generated("iam_ssh")).replace(" iam_ssh\n", " iam-ssh\n");
    script.into_bytes()
}

fn tool() -> Command {
    let mut tool = Command::new("iam-ssh")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .args(GLOBAL.iter().map(|(option, _)| argument(option).global(true)));
    for command in COMMANDS {
        let options = command.options.iter().map(argument);
        tool = tool.subcommand(Command::new(command.name).about(command.summary).args(options));
    }
    tool
}

fn argument(option: &Opt) -> Arg {
    let argument = Arg::new(option.long).long(option.long).help(option.summary);
    let argument = match option.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match option.value_name {
        Some(value) => {
            let action = if option.repeats { ArgAction::Append } else { ArgAction::Set };
            let hint = if value == "PATH" { ValueHint::FilePath } else { ValueHint::Unknown };
            argument.action(action).value_name(value).value_hint(hint)
        }
        None => argument.action(ArgAction::SetTrue),
    }
}
