import java.io.ByteArrayInputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.HexFormat;
import java.util.stream.Stream;

/** The subject of each certificate in a folder, as StratusLab's programs see it: FILE, tab, hex of UTF-8. */
public class Names {
    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        try (Stream<Path> files = Files.list(Path.of(args[0]))) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                String name;
                try {
                    var bytes = new ByteArrayInputStream(Files.readAllBytes(file));
                    var certificate = (X509Certificate) factory.generateCertificate(bytes);
                    name = certificate.getSubjectX500Principal().getName();
                } catch (Exception refused) {
                    out.println(file.getFileName() + "\trefused");
                    continue;
                }
                byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
                out.println(file.getFileName() + "\t" + HexFormat.of().formatHex(utf8));
            }
        }
        out.flush();
    }
}
