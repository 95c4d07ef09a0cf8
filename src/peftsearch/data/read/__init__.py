"""Files of labelled text, as people have them: where they are, how they are packed and written. Bytes in, tables out."""
