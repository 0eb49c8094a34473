#version 330 core
// Places a vertex: the head turns by one rotation, the shoulders by another, the neck between.

uniform mat4 clip;
uniform mat3 head;
uniform mat3 body;
uniform vec3 pivot;
uniform vec2 neck;  // heights between which the neck turns

in vec3 position;
in vec3 normal;
in vec2 uv;
in float open;

invariant gl_Position;  // depth is drawn first by one shader, then tested by another

out vec3 v_model;
out vec3 v_world;
out vec3 v_normal;
out vec2 v_uv;
out float v_open;

void main() {
    float t = clamp((position.y - neck.x) / (neck.y - neck.x), 0.0, 1.0);
    float share = t * t * (3.0 - 2.0 * t);
    vec3 own = position - pivot;
    v_world = mix(body * own, head * own, share) + pivot;
    v_normal = mix(body * normal, head * normal, share);
    v_model = position;
    v_uv = uv;
    v_open = open;
    gl_Position = clip * vec4(v_world, 1.0);
}
