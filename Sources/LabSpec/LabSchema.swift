import JSON

/// The JSON Schema of lab files, from the declarations that decode them.
public enum LabSchema {
    /// The schema (draft 2020-12) as text with a final newline.
    public static func json() -> String {
        let form = LabDraft.form
        // Each group needs an image of its own unless the defaults have one.
        let imageSomewhere: JSONValue = [
            "anyOf": [
                ["properties": ["defaults": ["type": "object", "required": ["image"]]], "required": ["defaults"]],
                ["properties": ["guests": ["additionalProperties": ["type": "object", "required": ["image"]]]]],
            ]
        ]
        let definitions = JSONObject(form.definitions.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        let schema: JSONValue = [
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vmlab lab file",
            "allOf": [form.schema, imageSomewhere], "$defs": .object(definitions),
        ]
        return schema.pretty + "\n"
    }
}
