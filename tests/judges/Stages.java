import eu.stratuslab.marketplace.XMLUtils;
import eu.stratuslab.marketplace.metadata.ValidateMetadata;
import eu.stratuslab.marketplace.metadata.ValidateMetadataConstraints;
import eu.stratuslab.marketplace.metadata.ValidateRDFModel;
import eu.stratuslab.marketplace.metadata.ValidateXMLSchema;
import eu.stratuslab.marketplace.metadata.ValidateXMLSignature;
import java.io.File;
import java.io.PrintStream;
import org.w3c.dom.Document;

/**
 * What the original's validator says of manifests, stage by stage: it stops at the first that
 * fails, this goes on. One line a stage and file: FILE, STAGE, ok or failed, message, with tabs
 * between. Run by stratuslab.sh, with the original's classes.
 */
public class Stages {
    interface Stage {
        void check(Document document) throws Exception;
    }

    static boolean failed;

    static void run(PrintStream out, String file, String stage, Stage check) throws Exception {
        // The checks change the document: each gets its own.
        try {
            check.check(XMLUtils.newDocumentBuilder(false).parse(new File(file)));
            out.println(file + "\t" + stage + "\tok\t");
        } catch (Exception | ExceptionInInitializerError error) {
            failed = true;
            String message = String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
            out.println(file + "\t" + stage + "\tfailed\t" + message);
        }
    }

    public static void main(String[] files) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        // The parser writes its complaints there, too.
        System.setErr(new PrintStream(PrintStream.nullOutputStream()));
        for (String file : files) {
            run(out, file, "signature", ValidateXMLSignature::validate);
            run(out, file, "schema", ValidateXMLSchema::validate);
            run(out, file, "constraints", ValidateMetadataConstraints::validate);
            run(out, file, "rdf", ValidateRDFModel::validate);
            run(out, file, "all", ValidateMetadata::validate);
        }
        System.exit(failed ? 1 : 0);
    }
}
