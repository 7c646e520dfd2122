//! Greets whoever is named in `{"name": …}`, as a plug-in of Extism, with a word that the namespace's database has.

use extism_pdk::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    name: String,
    #[serde(default)]
    language: String,
}

#[derive(Serialize)]
struct Answer {
    greeting: String,
}

#[derive(Deserialize)]
struct Row {
    word: String,
}

/// Host functions of the gateway that take and give bytes. Those that give a number, such as `cache_incr`, are declared as they
/// are: `unsafe extern "C"` with `#[link(wasm_import_module = "extism:host/user")]`.
#[host_fn("extism:host/user")]
extern "ExtismHost" {
    fn db_query(sql: String, args: Json<Vec<String>>) -> Json<Option<Vec<Row>>>;
}

const WORDS: &str = "WITH words(language, word) AS (VALUES ('en', 'Hello'), ('de', 'Hallo')) \
    SELECT word FROM words WHERE language = ?";

#[plugin_fn]
pub fn handle(Json(request): Json<Request>) -> FnResult<Json<Answer>> {
    let Request { name, language } = request;
    // Values go into the arguments, never into the text.
    let Json(rows) = unsafe { db_query(WORDS.into(), Json(vec![language]))? };
    let word = rows
        .and_then(|mut rows| rows.pop())
        .map_or("Hello".into(), |row| row.word);
    info!("greeting {name}");
    Ok(Json(Answer {
        greeting: format!("{word}, {name}!"),
    }))
}
