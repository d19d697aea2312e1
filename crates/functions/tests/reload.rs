//! Saved is live: the next invocation runs the new code.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and tell numbers")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{House, invocation, join_all};
use stillwire_model::{Code, Invoke as _, InvokeError, LogSource, Outcome};
use tokio::time::Instant;

fn answer(value: &str) -> String {
    format!("import time\ndef handler(e, c):\n    time.sleep(e or 0)\n    return {value}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invocation_after_a_save_runs_the_new_code() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", &answer("0"));
    house.write("other/app.py", "def handler(e, c):\n    import os\n    return os.getpid()\n");
    house.add(house.function("f", "app.handler")).await;
    let other = tempfile::tempdir().unwrap();
    std::fs::write(
        other.path().join("app.py"),
        "import os\ndef handler(e, c):\n    return os.getpid()\n",
    )
    .unwrap();
    let mut function = house.function("other", "app.handler");
    function.code = Code::Directory { root: other.path().to_owned(), source: None };
    house.add(function).await;
    let pid = house.returned("other", "null").await;
    assert_eq!(house.returned("f", "0").await, "0");
    let mut took = Vec::new();
    for round in 1..=5 {
        // The same size each time, and well within one second of the file before.
        if round % 2 == 0 {
            // As many editors do it.
            house.write("app.py.new", &answer(&round.to_string()));
            std::fs::rename(house.code.path().join("app.py.new"), house.code.path().join("app.py"))
                .unwrap();
        } else {
            house.write("app.py", &answer(&round.to_string()));
        }
        // At once: the save counts, not when the watcher hears of it.
        let start = Instant::now();
        assert_eq!(house.returned("f", "0").await, round.to_string());
        took.push(start.elapsed());
    }
    took.sort();
    println!("save to answer took {took:?}");
    // Of five, as this machine has other work as well.
    assert!(took.get(2).unwrap() < &Duration::from_millis(300), "{took:?}");
    assert_eq!(house.returned("other", "null").await, pid, "others keep their environments");
    let notices = house.logs.texts(LogSource::Notice);
    assert!(notices.contains(&"reloaded f (app.py changed)".to_owned()), "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_under_way_ends_on_the_old_code() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", &answer("'old'"));
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "0").await, "\"old\"");
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.write("app.py", &answer("'new'"));
        tokio::time::sleep(Duration::from_millis(5)).await;
        house.returned("f", "0").await
    };
    let (old, new) = tokio::join!(house.returned("f", "1"), change);
    assert_eq!((old.as_str(), new.as_str()), ("\"old\"", "\"new\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_without_a_change_replaces_nothing() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", "import os\ndef handler(e, c):\n    return os.getpid()\n");
    house.add(house.function("f", "app.handler")).await;
    let pid = house.returned("f", "0").await;
    house.write("app.py", "import os\ndef handler(e, c):\n    return os.getpid()\n");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_cannot_be_loaded_is_told_once_and_the_old_code_serves_on() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", &answer("1"));
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "0").await, "1");
    house.write("app.py", "def handler(e, c)\n");
    tokio::time::sleep(Duration::from_millis(5)).await;
    for _ in 0..3 {
        assert_eq!(house.returned("f", "0").await, "1");
    }
    let told = house.logs.texts(LogSource::Notice);
    assert_eq!(
        told.iter().filter(|line| line.contains("f is not reloaded")).count(),
        1,
        "{told:?}"
    );
    let errors = house.logs.texts(LogSource::Function);
    let is_error = |line: &&String| line.contains("Runtime.UserCodeSyntaxError");
    assert_eq!(errors.iter().filter(is_error).count(), 1, "{errors:?}");
    house.write("app.py", &answer("2"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_never_loaded_is_the_answer_until_it_is_mended() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", "def handler(e, c)\n");
    house.add(house.function("f", "app.handler")).await;
    for _ in 0..2 {
        let error = house.failed("f", "0").await;
        assert_eq!(error["errorType"], "Runtime.UserCodeSyntaxError");
    }
    house.write("app.py", &answer("2"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_waited_for_new_code_get_it() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", &answer("1"));
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "0").await, "1");
    house.write("app.py", &answer("2"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let answers = join_all((0..5).map(|_| house.returned("f", "0.2"))).await;
    assert_eq!(answers, ["2"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_replaced_as_a_whole_is_still_watched() {
    let house = House::with(|config| config.reload = true);
    let root = house.code.path().join("asset");
    let fill = |folder: &PathBuf, value: &str| {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("app.py"), answer(value)).unwrap();
    };
    fill(&root, "1");
    let mut function = house.function("f", "app.handler");
    function.code = Code::Directory { root: root.clone(), source: None };
    house.add(function).await;
    assert_eq!(house.returned("f", "0").await, "1");
    let next = house.code.path().join("next");
    fill(&next, "2");
    std::fs::rename(&root, house.code.path().join("before")).unwrap();
    std::fs::rename(&next, &root).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, "2");
    std::fs::write(root.join("app.py"), answer("3")).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_source_win_over_those_of_the_package() {
    let house = House::with(|config| config.reload = true);
    let (root, source) = (house.code.path().join("root"), house.code.path().join("source"));
    for (folder, value) in [(&root, "'package'"), (&source, "'source'")] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("app.py"), answer(value)).unwrap();
    }
    let mut function = house.function("f", "app.handler");
    function.code = Code::Directory { root, source: Some(source.clone()) };
    house.add(function).await;
    assert_eq!(house.returned("f", "0").await, "\"source\"");
    std::fs::write(source.join("app.py"), answer("'edited'")).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("f", "0").await, "\"edited\"");
}

/// What waited got the error of code that was mended meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_fails_on_old_code_fails_nobody_who_waits_for_the_new() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", "import time\ntime.sleep(1)\nraise ValueError('old')\n");
    house.add(house.function("f", "app.handler")).await;
    // The first environment, which nobody asked for, is in its init phase.
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.write("app.py", &answer("2"));
    assert_eq!(house.returned("f", "0").await, "2");
}

/// What served was ended for a preparation that failed. And who waited then waited for minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_cannot_be_prepared_anew_serves_on_and_its_end_is_told() {
    let house = House::with(|config| {
        config.reload = true;
        config.templates = false; // a template has its folder still
    });
    let (root, source) = (house.code.path().join("root"), house.code.path().join("source"));
    let code = "import os\ndef handler(e, c):\n    if e: os._exit(1)\n    return 1\n";
    for folder in [&root, &source] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("app.py"), code).unwrap();
    }
    let mut function = house.function("f", "app.handler");
    function.code = Code::Directory { root: root.clone(), source: Some(source.clone()) };
    house.add(function).await;
    assert_eq!(house.returned("f", "0").await, "1");
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(source.join("app.py"), answer("2")).unwrap();
    for _ in 0..3 {
        assert_eq!(house.returned("f", "0").await, "1");
    }
    let told = house.logs.texts(LogSource::Notice);
    let is_told = |line: &&String| line.contains("f is not reloaded");
    assert_eq!(told.iter().filter(is_told).count(), 1, "{told:?}");
    // Nothing serves any more, and nothing can be started.
    house.failed("f", "1").await;
    let asked = tokio::time::timeout(Duration::from_secs(10), house.invoke("f", "0"));
    let refused = asked.await.expect("an answer").unwrap_err();
    assert!(matches!(refused, InvokeError::Unavailable { .. }), "{refused:?}");
}

/// Nobody settled the change of a function that was not deployed any more; what waited for that was lost.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_change_when_the_function_is_replaced_is_answered() {
    let house = House::with(|config| config.reload = true);
    house.write("app.py", &answer("1"));
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "0").await, "1");
    house.write("app.py", &answer("2"));
    let waiting = house.functions.invoke(invocation("f", "0"));
    house.add_with(house.function("f", "app.handler"), &[("NEW", "1")]).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("an answer");
    assert!(matches!(answer.unwrap().outcome, Outcome::Returned(_)));
}
