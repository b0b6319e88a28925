//! The help texts are the manual: a change of one is seen in review.

use clap::Command;

/// The width at which they are rendered, whatever the terminal of whoever runs the tests.
const WIDTH: usize = 100;

fn at_fixed_width(command: Command) -> Command {
    command.term_width(WIDTH).mut_subcommands(at_fixed_width)
}

/// The long help of `postrider PATH…`.
fn help(path: &[&str]) -> String {
    let mut command = at_fixed_width(postrider::cli::command());
    command.build();
    let found = path.iter().fold(&mut command, |command, name| {
        command.find_subcommand_mut(name).unwrap_or_else(|| panic!("there is no command {name}"))
    });
    found.render_long_help().to_string()
}

macro_rules! help_of {
    ($name:ident, $path:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(help(&$path));
        }
    };
}

help_of!(postrider, []);
help_of!(serve, ["serve"]);
help_of!(demo, ["demo"]);
help_of!(migrate, ["migrate"]);
help_of!(import_whisperer, ["import-whisperer"]);
help_of!(user, ["user"]);
help_of!(user_add, ["user", "add"]);
help_of!(user_list, ["user", "list"]);
help_of!(token, ["token"]);
help_of!(token_create, ["token", "create"]);
help_of!(token_revoke, ["token", "revoke"]);
help_of!(secrets, ["secrets"]);
help_of!(secrets_status, ["secrets", "status"]);
help_of!(secrets_rotate, ["secrets", "rotate"]);
help_of!(listen, ["listen"]);
help_of!(send, ["send"]);
help_of!(status, ["status"]);
help_of!(tail, ["tail"]);
help_of!(subscriptions, ["subscriptions"]);
help_of!(pause, ["pause"]);
help_of!(resume, ["resume"]);
help_of!(redeliver, ["redeliver"]);
help_of!(replay, ["replay"]);
