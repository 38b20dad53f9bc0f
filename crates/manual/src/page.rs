//! Fills a page's template. A line that begins with `@` is a directive; every other line is taken over as it stands.

use crate::markup::{argument, lines, paragraphs};
use iam_ssh::config::reference::{Kind, SETTINGS, Setting};
use iam_ssh::program::commands::{COMMANDS, EXIT_CODES, GLOBAL, Opt};

/// The page.
///
/// # Errors
/// A directive that does not exist, or a setting that no directive has brought although another of the page did.
pub(crate) fn fill(template: &str, date: &str) -> Result<String, String> {
    let mut page = String::new();
    let mut brought = 0;
    for line in template.lines() {
        let Some(directive) = line.strip_prefix('@') else {
            page += &format!("{line}\n");
            continue;
        };
        page += &match directive {
            "date" => format!(".Dd {date}\n"),
            "synopsis" => synopsis(),
            "commands" => commands(),
            "exit codes" => exit_codes(),
            _ => {
                let table =
                    directive.strip_prefix("settings").ok_or_else(|| format!("no such directive: @{directive}"))?;
                let (text, count) = settings(table.trim_start());
                if count == 0 {
                    return Err(format!("@{directive}: there are no such settings"));
                }
                brought += count;
                text
            }
        };
    }
    if brought != 0 && brought != SETTINGS.len() {
        return Err(format!("of {} settings {brought} are on the page", SETTINGS.len()));
    }
    Ok(page)
}

fn synopsis() -> String {
    let mut out = String::new();
    for command in COMMANDS {
        let dots = |option: &Opt| if option.repeats { " Ns No ..." } else { "" };
        let op = |option: &Opt| match dots(option) {
            "" => format!(".Op {}\n", flag(option)),
            dots => format!(".Oo {} Oc{dots}\n", flag(option)),
        };
        let options = command.options.iter().map(op).collect::<String>();
        out += &format!(".Nm\n.Cm {}\n{options}", argument(command.name));
    }
    for (option, _) in GLOBAL {
        out += &format!(".Nm\n.{}\n", flag(option));
    }
    out
}

fn commands() -> String {
    let mut out = ".Bl -tag -width Ds\n".to_owned();
    for command in COMMANDS {
        // With many, they follow below.
        let shown = if command.options.len() > 2 { &[] } else { command.options };
        let options = shown.iter().map(|option| format!(" Op {}", flag(option))).collect::<String>();
        out += &format!(".It Cm {}{options}\n{}", argument(command.name), paragraphs(command.text));
        if !command.options.is_empty() {
            out += ".Bl -tag -width Ds\n";
            out += &command.options.iter().map(option_item).collect::<String>();
            out += ".El\n";
        }
    }
    out += &GLOBAL.iter().map(|(option, _)| option_item(option)).collect::<String>();
    out + ".El\n"
}

fn option_item(option: &Opt) -> String {
    let short = option.short.map(|short| format!(" , Fl {short}")).unwrap_or_default();
    format!(".It {}{short}\n{}", flag(option), paragraphs(option.text))
}

/// `Fl -since Ar TIME`.
fn flag(option: &Opt) -> String {
    let value = option.value_name.map(|value| format!(" Ar {}", argument(value))).unwrap_or_default();
    format!("Fl -{}{value}", option.long)
}

fn exit_codes() -> String {
    let items: Vec<String> =
        EXIT_CODES.iter().map(|code| format!(".It {}\n{}", code.number, paragraphs(code.text))).collect();
    format!(".Bl -tag -width Ds -compact\n{}.El\n", items.concat())
}

/// The settings of one table, and how many.
fn settings(table: &str) -> (String, usize) {
    let here: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.table_and_key().0 == table).collect();
    let items: Vec<String> = here.iter().map(|setting| item(setting)).collect();
    (format!(".Bl -tag -width Ds\n{}.El\n", items.concat()), here.len())
}

fn item(setting: &Setting) -> String {
    let (_, key) = setting.table_and_key();
    let form = match setting.kind {
        Kind::Text(what) => format!("Qq Ar {}", argument(what)),
        Kind::Choice(of) => {
            let of: Vec<String> = of.iter().map(|value| format!("Qo Cm {} Qc", argument(value))).collect();
            of.join(" | ")
        }
        Kind::Boolean => "Ar boolean".to_owned(),
        Kind::Duration => "Qq Ar duration".to_owned(),
        Kind::Principals => "Bo Qo Ar principal Qc , No ... Bc".to_owned(),
    };
    let default = match setting.default {
        Some("[]") => " Default: none.".to_owned(),
        Some("\"\"") => " Default: empty.".to_owned(),
        Some(default) => format!(" Default: `{default}`."),
        None => String::new(),
    };
    let (first, more) = setting.text.split_first().unwrap_or((&"", &[]));
    let first = format!("{}. {first}", setting.summary);
    match more.split_last() {
        None => format!(".It Ic {key} No = {form}\n{}", lines(&format!("{first}{default}"))),
        Some((last, between)) => {
            let last = format!("{last}{default}");
            let text: Vec<&str> =
                std::iter::once(first.as_str()).chain(between.iter().copied()).chain([last.as_str()]).collect();
            format!(".It Ic {key} No = {form}\n{}", paragraphs(&text))
        }
    }
}
