// Writes mlx-sys' bindings, as its build script would: mlx-bindings MLX-C-FOLDER OUTPUT.
fn main() {
    let mut arguments = std::env::args().skip(1);
    let (root, output) = (arguments.next().unwrap(), arguments.next().unwrap());
    let root = std::path::Path::new(&root);
    let headers = bindgen_config::discover_headers(root).unwrap();
    let bindings = bindgen_config::builder(root, &headers).generate().unwrap();
    bindings.write_to_file(output).unwrap();
}
