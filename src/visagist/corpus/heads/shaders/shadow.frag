#version 330 core
// Depth only; hair casts shadow where its texture is at least half opaque.
uniform sampler2D strands;
uniform int cutout;
in vec2 v_uv;
in vec3 v_model;
uniform vec2 hat;
void main() {
    if (cutout == 1 && (texture(strands, v_uv).g < 0.5 || v_model.y > hat.x + hat.y * v_model.z)) discard;
}
