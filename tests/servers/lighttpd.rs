//! lighttpd with mod_webdav. `/open/` takes partial `PUT`, `/nopart/` does not (its default), and
//! `/basic/` wants a login.

use std::fs;

use super::{PASSWORD, Plan, Server, USER};

pub fn start(room: Option<u64>) -> Server {
    let plan = Plan {
        program: "lighttpd",
        package: "lighttpd lighttpd-mod-webdav",
        folders: &["www/open", "www/nopart", "www/basic", "tmp"],
        room,
        configure: &|folder, port, _| {
            fs::write(folder.join("pw"), format!("{USER}:{PASSWORD}\n")).unwrap();
            let place = folder.display();
            let text = format!(
                "server.modules = ( \"mod_auth\", \"mod_authn_file\", \"mod_webdav\" )\n\
                 server.document-root = \"{place}/www\"\nserver.port = {port}\n\
                 server.bind = \"127.0.0.1\"\nserver.errorlog = \"{place}/error.log\"\n\
                 server.upload-dirs = ( \"{place}/tmp\" )\nserver.max-request-size = 0\n\
                 webdav.sqlite-db-name = \"{place}/lock.db\"\nauth.backend = \"plain\"\n\
                 auth.backend.plain.userfile = \"{place}/pw\"\n\
                 $HTTP[\"url\"] =~ \"^/open/\" {{ webdav.activate = \"enable\" \
                 webdav.opts = ( \"deprecated-unsafe-partial-put\" => \"enable\" ) }}\n\
                 $HTTP[\"url\"] =~ \"^/nopart/\" {{ webdav.activate = \"enable\" }}\n\
                 $HTTP[\"url\"] =~ \"^/basic/\" {{ webdav.activate = \"enable\" \
                 auth.require = ( \"\" => ( \"method\" => \"basic\", \"realm\" => \"x\", \
                 \"require\" => \"valid-user\" ) ) }}\n"
            );
            fs::write(folder.join("conf"), text).unwrap();
            let conf = folder.join("conf").to_string_lossy().into_owned();
            ["-D", "-f", &conf].map(str::to_owned).to_vec()
        },
    };
    plan.start()
}
