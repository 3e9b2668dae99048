//! nginx with its DAV module. `/open/` is free, `/basic/` the same with a login; both know `MOVE`.
//! `/put/` knows only `PUT` and `DELETE`, `/small/` takes bodies of at most 1 MiB.

use std::fs;

use super::{PASSWORD, Plan, Server, USER};

pub fn start(room: Option<u64>) -> Server {
    let plan = Plan {
        program: "nginx",
        package: "nginx-light",
        folders: &["body"],
        room,
        configure: &|folder, port, _| {
            fs::write(folder.join("pw"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
            let place = folder.display();
            let user = match rustix::process::geteuid().is_root() {
                true => "user root;",
                false => "",
            };
            let dav = "client_max_body_size 0; dav_methods PUT DELETE MKCOL COPY MOVE;";
            let basic = format!("auth_basic x; auth_basic_user_file {place}/pw;");
            let text = format!(
                "daemon off; {user} pid {place}/pid; error_log {place}/error.log; \
                 worker_processes 1; events {{ worker_connections 64; }}\nhttp {{\n\
                 access_log off; client_body_temp_path {place}/body; \
                 proxy_temp_path {place}/body; fastcgi_temp_path {place}/body; \
                 uwsgi_temp_path {place}/body; scgi_temp_path {place}/body;\n\
                 server {{ listen 127.0.0.1:{port};\n\
                 location /open/ {{ alias {place}/www/; {dav} }}\n\
                 location /basic/ {{ alias {place}/www/; {dav} {basic} }}\n\
                 location /put/ {{ alias {place}/www/; client_max_body_size 0; \
                 create_full_put_path on; dav_methods PUT DELETE; }}\n\
                 location /small/ {{ alias {place}/www/; client_max_body_size 1m; \
                 dav_methods PUT DELETE MKCOL COPY MOVE; }}\n}} }}\n"
            );
            fs::write(folder.join("conf"), text).unwrap();
            let conf = folder.join("conf").to_string_lossy().into_owned();
            let error = folder.join("error.log").to_string_lossy().into_owned();
            ["-c", &conf, "-p", &place.to_string(), "-e", &error].map(str::to_owned).to_vec()
        },
    };
    plan.start()
}
