fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    for step in keel_spec::theorems::steps::ALL {
        if only.is_empty() || only.iter().any(|o| o == step.name) {
            println!("{:?}", keel_spec::theorems::examine(step).unwrap());
        }
    }
}
