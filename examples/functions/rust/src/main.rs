//! Greets whoever is named in `{"name": …}`, and says how many were greeted before.

use serde_json::{Value, json};
use std::io::{read_to_string, stdin};

/// Host functions of the gateway. Text goes in as a pointer and a length.
mod host {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn cache_incr(key: *const u8, length: usize) -> i64;
        pub fn get_caller_wallet() -> u64;
        pub fn log_info(text: *const u8, length: usize);
    }
}

/// The gateway asks for memory here, for what its host functions return.
#[unsafe(no_mangle)]
pub extern "C" fn orama_alloc(size: usize) -> *mut u8 {
    Box::leak(vec![0; size].into_boxed_slice()).as_mut_ptr()
}

/// What a host function returned: a pointer in the upper half, a length in the lower one, or 0 for nothing.
fn text_of(packed: u64) -> String {
    if packed == 0 {
        return String::new();
    }
    let (start, length) = ((packed >> 32) as *mut u8, packed as u32 as usize);
    // The gateway wrote these bytes into memory that `orama_alloc` gave away.
    unsafe { String::from_utf8_lossy(std::slice::from_raw_parts(start, length)).into_owned() }
}

fn count(key: &str) -> i64 {
    unsafe { host::cache_incr(key.as_ptr(), key.len()) }
}

fn log(text: &str) {
    unsafe { host::log_info(text.as_ptr(), text.len()) }
}

fn main() {
    let input = read_to_string(stdin()).unwrap_or_default();
    let Ok(request) = serde_json::from_str::<Value>(&input) else {
        eprintln!("the input must be JSON, such as {{\"name\": \"Ada\"}}");
        std::process::exit(1);
    };
    let name = request["name"].as_str().unwrap_or("World");
    let caller = text_of(unsafe { host::get_caller_wallet() });
    log(&format!("greeting {name} for {caller}"));
    let greeting = format!("Hello, {name}!");
    print!(
        "{}",
        json!({ "greeting": greeting, "count": count("rust") })
    );
}
