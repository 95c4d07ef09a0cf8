"""Files of labelled text, as people have them: where they are and how they are packed. Bytes in, tables out."""
