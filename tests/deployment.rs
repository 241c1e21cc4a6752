//! The Amazon side as code (`deploy/aws/`): each file is read by what reads it, says the flow that is downloaded, and its commands are
//! run against the stand-in of Amazon's services.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bellhop_connect::deployment::{Encryption, Tool, Values};
use bellhop_connect::flow::{Flow, Parts, language};
use bellhop_rehearsal::connect::{AccessKey, FREE_NUMBER, StandIn};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/i1";
const CONNECTOR: &str = "arn:aws:chime:eu-west-2:111122223333:vc/v1";
const QUEUE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/i1/queue/q1";
const SCREEN_POP: &str = "https://bellhop.example/loadAgentAppFrame.html?session_history_key";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// A program that `make test` installs.
fn program(name: &str) -> PathBuf {
    let built = std::env::current_exe().expect("a test has a file");
    let target = built.ancestors().nth(3).expect("the folder that cargo builds into");
    let program = target.join("deployment/bin").join(name);
    assert!(program.exists(), "{} is not there: `make test` installs it", program.display());
    program
}

fn values() -> Values {
    Values {
        integration: "phone".into(),
        instance_arn: INSTANCE.parse().expect("an ARN"),
        sip_host: "sip.bellhop.example".into(),
        sip_port: 5071,
        encryption: Encryption::Off,
        screen_pop_url: SCREEN_POP.into(),
        queue_arn: Some(QUEUE.into()),
    }
}

/// The flow that is downloaded.
fn flow(voice_connector_arn: &str) -> Value {
    let (queue_arn, screen_pop_url) = (QUEUE.to_owned(), SCREEN_POP.to_owned());
    let parts = Parts { voice_connector_arn: voice_connector_arn.to_owned(), queue_arn, screen_pop_url };
    language::written(&Flow::handing_over(&parts))
}

fn policy() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "connect:UpdateContactAttributes", "Resource": format!("{INSTANCE}/contact/*"),
    }]})
}

/// A folder of one test's own, gone with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a script of `tests/deployment/` tells of a file.
fn asked(script: &str, file: &Path, arguments: &[&str]) -> Value {
    let script = root().join("tests/deployment").join(script);
    let output = Command::new(program("python")).arg(script).arg(file).args(arguments).output().expect("python runs");
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(&output)))
}

fn json_of(value: &Value) -> Value {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Who changes the flow makes these anew: this test writes them, and says where they belong.
#[test]
fn the_files_have_the_flow_that_is_downloaded() {
    for tool in Tool::ALL {
        let (there, blank) = (tool.file(), tool.blank());
        if there != blank {
            let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(tool.file_name());
            std::fs::write(&made, blank).expect("written");
            panic!("deploy/aws/ is not of today's flow: {} is what {tool:?} should have", made.display());
        }
    }
}

#[test]
fn terraforms_core_reads_its_file_and_the_provider_knows_every_argument() {
    let folder = Folder::new();
    let given =
        json!({"instance_arn": INSTANCE, "sip_host": "sip.bellhop.example", "screen_pop_url": SCREEN_POP}).to_string();
    let blank = asked("terraform.py", &folder.write("blank.tf", &Tool::Terraform.blank()), &[&given]);
    let filled = asked("terraform.py", &folder.write("filled.tf", &Tool::Terraform.filled(&values())), &["{}"]);
    for read in [&blank, &filled] {
        assert_eq!(read["problems"], json!([]));
        assert_eq!(json_of(&read["content"]), flow(CONNECTOR));
        assert_eq!((json_of(&read["policy"]), &read["region"]), (policy(), &json!("eu-west-2")));
    }
    let (amazon, command) = (Amazon::new(), filled["approved_origin"].as_str().expect("it is there"));
    let ran = amazon.command("bash").args(["-c", command]).output().expect("bash runs");
    assert!(ran.status.success(), "{command}: {}", told(&ran));
    assert_eq!(amazon.stand_in.provisioned().origins, ["https://ccp.example"]);
    let variable = |name: &str| [&blank, &filled].map(|read| read[format!("var_{name}")].clone());
    assert_eq!(variable("access"), [json!("user"), json!("none")]);
    assert_eq!(variable("sip_port"), [json!(5061), json!(5071)]);
    assert_eq!(variable("encrypted"), [json!(true), json!(false)]);
    assert_eq!(variable("queue_arn"), [Value::Null, json!(QUEUE)]);
}

/// The check sees what it is there for.
#[test]
fn an_argument_that_the_provider_does_not_know_is_told() {
    let folder = Folder::new();
    let bad = Tool::Terraform
        .filled(&values())
        .replace("weight   = 5", "wait     = 5")
        .replace("bellhop.arn)", "bellhop.name_)");
    let read = asked("terraform.py", &folder.write("bad.tf", &bad), &["{}"]);
    let problems = [
        "aws_chime_voice_connector_origination.route has no argument wait",
        "aws_chime_voice_connector_origination.route lacks weight",
        "aws_chime_voice_connector.bellhop has no attribute name_",
    ];
    assert_eq!(read["problems"], json!(problems));
}

#[test]
fn the_stack_is_without_finding_and_its_two_commands_do_what_it_lacks() {
    let folder = Folder::new();
    let given = json!({"InstanceArn": INSTANCE, "SipHost": "sip.bellhop.example", "ScreenPopUrl": SCREEN_POP, "QueueArn": QUEUE});
    let blank = folder.write("blank.yaml", &Tool::CloudFormation.blank());
    let filled = folder.write("filled.yaml", &Tool::CloudFormation.filled(&values()));
    for (file, given) in [(&blank, given), (&filled, json!({}))] {
        let found = Command::new(program("cfn-lint")).arg(file).output().expect("cfn-lint runs");
        assert!(found.status.success() && found.stdout.is_empty(), "{}", told(&found));
        let stack = asked("cloudformation.py", file, &[&given.to_string()]);
        assert_eq!(json_of(&stack["resources"]["ContactFlow"]["Properties"]["Content"]), flow(CONNECTOR));
    }
    let role =
        json!({"Access": "role", "TrustedPrincipalArn": "arn:aws:iam::444455556666:user/b", "ExternalId": "bellhop-1"});
    let stack = asked("cloudformation.py", &filled, &[&role.to_string()]);
    let role = &stack["resources"]["Role"]["Properties"];
    assert_eq!(role["Policies"][0]["PolicyDocument"], policy());
    assert_eq!(
        role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"],
        "bellhop-1"
    );
    assert!(stack["resources"]["User"].is_null() && stack["outputs"]["RoleArn"].is_string(), "{stack}");

    // What the stack has made is there, by the names that `cloudformation.py` gives.
    let amazon = Amazon::new();
    amazon.runs(&["chime-sdk-voice", "create-voice-connector", "--name", "x", "--require-encryption"]);
    let content = flow(CONNECTOR).to_string();
    let kind = ["--type", "CONTACT_FLOW", "--content", &content];
    amazon.runs(&[&["connect", "create-contact-flow", "--instance-id", "i1", "--name", "x"], &kind[..]].concat());
    amazon.runs(&["connect", "claim-phone-number", "--target-arn", INSTANCE, "--phone-number", FREE_NUMBER]);
    for output in ["FirstCommand", "SecondCommand"] {
        let command = stack["outputs"][output].as_str().expect("it is there");
        let ran = amazon.command("bash").args(["-c", command]).output().expect("bash runs");
        assert!(ran.status.success(), "{command}: {}", told(&ran));
    }
    let made = amazon.stand_in.provisioned();
    let route = json!({"Host": "sip.bellhop.example", "Port": 5071, "Protocol": "TCP", "Priority": 1, "Weight": 5});
    assert_eq!(made.connectors[0]["Origination"], json!({"Disabled": false, "Routes": [route]}));
    assert_eq!(made.numbers[0]["ContactFlowId"], "flow-0");
}

/// Values come from names that people type: each language gives back what was put in, and evaluates none of it.
#[test]
fn values_are_what_they_were_whatever_they_hold() {
    let folder = Folder::new();
    let flag = folder.0.path().join("evaluated");
    let touch = format!("touch {}", flag.display());
    let nasty = [
        format!("'; {touch} #"),
        format!("\"; {touch}; \"$({touch})`{touch}`"),
        "${path.module}%{if true}$${x}\\\"\n}\nresource \"x\" \"y\" {\r\t#".to_owned(),
        "a: b\n  - !Ref c # d 'e' \u{85}\u{2028}é🙂 \\u0041".to_owned(),
        "\u{1b}]0;title\u{7}".to_owned(),
    ];
    for text in nasty {
        let values =
            Values { sip_host: text.clone(), screen_pop_url: text.clone(), queue_arn: Some(text.clone()), ..values() };
        let terraform = folder.write("nasty.tf", &Tool::Terraform.filled(&values));
        let terraform = asked("terraform.py", &terraform, &["{}", "--any"]);
        let stack = folder.write("nasty.yaml", &Tool::CloudFormation.filled(&values));
        let stack = asked("cloudformation.py", &stack, &["--values"]);
        let script = Tool::Shell.filled(&values);
        let lines = script.split("\nfail() {").next().expect("they come first");
        let print = "\nprintf '%s\\0%s\\0%s' \"$sip_host\" \"$screen_pop_url\" \"$queue_arn\"";
        let shell = Command::new("bash").args(["-c", &format!("{lines}{print}")]).output().expect("bash runs");
        assert_eq!(terraform["problems"], json!([]), "{text:?}");
        for [variable, parameter] in
            [["var_sip_host", "SipHost"], ["var_screen_pop_url", "ScreenPopUrl"], ["var_queue_arn", "QueueArn"]]
        {
            assert_eq!((&terraform[variable], &stack[parameter]), (&json!(text), &json!(text)));
        }
        assert_eq!(String::from_utf8_lossy(&shell.stdout), format!("{text}\0{text}\0{text}"), "{}", told(&shell));
        assert!(!flag.exists(), "{text:?} was evaluated");
    }
}

#[test]
fn the_script_is_without_finding() {
    let folder = Folder::new();
    for text in [Tool::Shell.blank(), Tool::Shell.filled(&values())] {
        let found =
            Command::new("shellcheck").arg(folder.write("bellhop.sh", &text)).output().expect("shellcheck runs");
        assert!(found.status.success(), "{}", told(&found));
    }
}

/// Every case of the panel's page is in `tests/deployment/ccp.mjs`, with the real Streams library.
#[test]
fn the_panels_page_opens_each_conversation_once_whatever_a_contact_lacks() {
    let built = std::env::current_exe().expect("a test has a file");
    let packages = built.ancestors().nth(3).expect("the folder that cargo builds into").join("browser");
    assert!(packages.join("node_modules").exists(), "{} is not there: `make test` installs it", packages.display());
    let script = root().join("tests/deployment/ccp.mjs");
    let ran = Command::new("node").arg(script).arg(packages).output().expect("node runs");
    assert!(ran.status.success() && ran.stdout == b"[]\n", "{}", told(&ran));
}

/// What the panel's page loads is what was published.
#[test]
fn the_panels_library_is_the_one_whose_digest_is_told() {
    let folder = root().join("deploy/aws/ccp");
    let table = std::fs::read_to_string(folder.join("README.md")).expect("readable");
    let row = table.lines().find(|line| line.contains(".min.js`")).expect("its row");
    let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    let digest = Sha256::digest(std::fs::read(folder.join(cells[1])).expect("it is there"));
    assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), cells[5]);
    let page = std::fs::read_to_string(folder.join("index.html")).expect("readable");
    assert!(page.contains(&format!("src=\"{}\"", cells[1])));
}

/// Amazon's services, and a command line that asks them.
struct Amazon {
    stand_in: StandIn,
    address: SocketAddr,
    folder: Folder,
}

impl Amazon {
    fn new() -> Self {
        let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
        let stand_in = StandIn::new(INSTANCE.parse().expect("an ARN"), key.clone(), false);
        stand_in.administrator(key);
        let address = stand_in.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Self { stand_in, address, folder: Folder::new() }
    }

    fn command(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let aws = program("aws");
        let found = aws.parent().expect("a folder").display();
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", format!("{found}:/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.folder.0.path())
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ACCESS_KEY_ID", "AKIATEST")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-west-2")
            .env("AWS_DEFAULT_REGION", "eu-west-2")
            .env("AWS_MAX_ATTEMPTS", "1");
        command
    }

    /// Runs an `aws` command.
    fn runs(&self, arguments: &[&str]) {
        let ran = self.command(program("aws")).args(arguments).output().expect("aws runs");
        assert!(ran.status.success(), "{arguments:?}: {}", told(&ran));
    }

    /// Runs the script with what is in the environment.
    fn script(&self, text: &str, variables: &[(&str, &str)]) -> Output {
        let script = self.folder.write("bellhop.sh", text);
        let variables = variables.iter().copied().chain([("BELLHOP_PAUSE", "0")]);
        self.command("bash").arg(script).envs(variables).output().expect("bash runs")
    }
}

const GIVEN: [(&str, &str); 3] = [
    ("BELLHOP_INSTANCE_ARN", INSTANCE),
    ("BELLHOP_SIP_HOST", "sip.bellhop.example"),
    ("BELLHOP_SCREEN_POP_URL", SCREEN_POP),
];

#[test]
fn the_script_sets_everything_up_and_run_again_finds_it() {
    let amazon = Amazon::new();
    let given = [&GIVEN[..], &[("BELLHOP_NAME", "front desk"), ("BELLHOP_CCP_ORIGIN", "https://ccp.example")]].concat();
    let first = amazon.script(&Tool::Shell.blank(), &given);
    assert!(first.status.success(), "{}", told(&first));
    let made = amazon.stand_in.provisioned();
    let connector = &made.connectors[0];
    let route = json!({"Host": "sip.bellhop.example", "Port": 5061, "Protocol": "TCP", "Priority": 1, "Weight": 5});
    assert_eq!(connector["Origination"], json!({"Disabled": false, "Routes": [route]}));
    assert_eq!((&connector["RequireEncryption"], &connector["AwsRegion"]), (&json!(true), &json!("eu-west-2")));
    let arn = connector["VoiceConnectorArn"].as_str().expect("it has one");
    assert_eq!(json_of(&made.flows[0]["Content"]), flow(arn));
    assert_eq!(
        (&made.flows[0]["Type"], &made.numbers[0]["ContactFlowId"]),
        (&json!("CONTACT_FLOW"), &made.flows[0]["Id"])
    );
    assert_eq!(
        (made.origins.as_slice(), &made.users["front-desk"]["policy"]),
        (&["https://ccp.example".to_owned()][..], &policy())
    );
    for line in [arn, QUEUE, INSTANCE, FREE_NUMBER, "AKIA0000000000000000", "made/secret+1"] {
        assert!(told(&first).contains(line), "{line}: {}", told(&first));
    }

    let again = amazon.script(&Tool::Shell.blank(), &given);
    assert!(again.status.success(), "{}", told(&again));
    let mut after = amazon.stand_in.provisioned();
    after.numbers[0]["Looks"] = made.numbers[0]["Looks"].clone();
    assert_eq!(after, made, "nothing is made twice");
    assert!(!told(&again).contains("made:") && !told(&again).contains("made/secret"), "{}", told(&again));
    assert_eq!(
        amazon.stand_in.refused(),
        [(404, "NoSuchEntity".to_owned())],
        "the user was looked for before it was made"
    );
}

#[test]
fn the_script_that_a_page_gives_needs_nothing_more() {
    let amazon = Amazon::new();
    let ran = amazon.script(&Tool::Shell.filled(&values()), &[("BELLHOP_SIP_HOST", "elsewhere.example")]);
    assert!(ran.status.success(), "{}", told(&ran));
    let made = amazon.stand_in.provisioned();
    assert_eq!(made.connectors[0]["Origination"]["Routes"][0]["Host"], "sip.bellhop.example");
    assert_eq!(
        (&made.connectors[0]["Name"], &made.connectors[0]["RequireEncryption"]),
        (&json!("bellhop-phone"), &json!(false))
    );
    assert!(made.users.is_empty() && made.roles.is_empty(), "Bellhop has its key already");
}

#[test]
fn a_role_trusts_who_is_named_with_the_external_id() {
    let amazon = Amazon::new();
    let role = [
        ("BELLHOP_ACCESS", "role"),
        ("BELLHOP_TRUSTED_PRINCIPAL_ARN", "arn:aws:iam::444455556666:user/bellhop"),
        ("BELLHOP_EXTERNAL_ID", "bellhop-1"),
    ];
    let given = [&GIVEN[..], &role].concat();
    for _ in 0..2 {
        let ran = amazon.script(&Tool::Shell.blank(), &given);
        assert!(
            ran.status.success() && told(&ran).contains("arn:aws:iam::111122223333:role/bellhop"),
            "{}",
            told(&ran)
        );
    }
    let made = amazon.stand_in.provisioned();
    let statement = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::444455556666:user/bellhop"},
        "Condition": {"StringEquals": {"sts:ExternalId": "bellhop-1"}},
    });
    let trusts = json!({"Version": "2012-10-17", "Statement": [statement]});
    assert_eq!(made.roles["bellhop"], json!({"trusts": trusts, "policy": policy()}));
    assert!(made.users.is_empty());
}

/// What is wrong is told before anything is made, and in words of what to change.
#[test]
fn a_bad_value_ends_the_script_before_anything_is_asked() {
    let amazon = Amazon::new();
    let bad = [
        (
            "BELLHOP_INSTANCE_ARN",
            "arn:aws:connect:eu-west-2:111122223333:instance/i1\"",
            "BELLHOP_INSTANCE_ARN is missing or malformed",
        ),
        ("BELLHOP_SIP_HOST", "", "BELLHOP_SIP_HOST is missing or malformed"),
        ("BELLHOP_SIP_HOST", "a,Port=1", "BELLHOP_SIP_HOST is missing or malformed"),
        ("BELLHOP_SIP_PORT", "65536", "BELLHOP_SIP_PORT is a number from 1 to 65535"),
        ("BELLHOP_SCREEN_POP_URL", "https://x/\",\"y\":\"", "BELLHOP_SCREEN_POP_URL is missing or malformed"),
        ("BELLHOP_NAME", "it's", "BELLHOP_NAME has 1 to 50 letters"),
        ("BELLHOP_QUEUE_NAME", "a'] | [?'", "BELLHOP_QUEUE_NAME has 1 to 256 characters"),
        ("BELLHOP_ACCESS", "role", "BELLHOP_TRUSTED_PRINCIPAL_ARN is missing or malformed"),
        ("BELLHOP_CCP_ORIGIN", "https://ccp.example/page", "BELLHOP_CCP_ORIGIN is https:// and a name"),
    ];
    for (variable, value, why) in bad {
        let ran = amazon.script(&Tool::Shell.blank(), &[&GIVEN[..], &[(variable, value)]].concat());
        assert!(!ran.status.success() && told(&ran).contains(why), "{variable}={value}: {}", told(&ran));
    }
    assert!(amazon.stand_in.provisioning().is_empty());
}

#[test]
fn what_amazon_refuses_is_told_with_what_to_do() {
    let amazon = Amazon::new();
    let run = |more: &[(&str, &str)]| {
        let ran = amazon.script(&Tool::Shell.blank(), &[&GIVEN[..], more].concat());
        assert!(!ran.status.success(), "{}", told(&ran));
        told(&ran)
    };
    assert!(run(&[("AWS_SECRET_ACCESS_KEY", "another")]).contains("look at aws sts get-caller-identity"));
    assert!(run(&[("BELLHOP_QUEUE_NAME", "Nobody")]).contains("say which by BELLHOP_QUEUE_NAME or BELLHOP_QUEUE_ARN"));
    assert!(run(&[("BELLHOP_PHONE_NUMBER_COUNTRY", "GB")]).contains("there is no free number of the type DID in GB"));
    assert!(run(&[("BELLHOP_PHONE_NUMBER", "+12065550199")]).contains("the instance has no phone number +12065550199"));
    amazon.stand_in.instance_is(Some("CREATION_FAILED"));
    assert!(run(&[]).contains("the instance is not active: CREATION_FAILED"));
}
