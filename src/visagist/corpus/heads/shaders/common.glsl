#version 330 core
// Lights, shadows and the outputs that every material shares. Colours are linear.

uniform vec3 camera;
uniform vec3 key_direction, key_colour;
uniform vec3 fill_direction, fill_colour;
uniform vec3 rim_direction, rim_colour;
uniform vec3 sh[9];  // irradiance / pi, in the order of Ramamoorthi and Hanrahan (2001), eq. 13
uniform mat4 key_clip, sky_clip;
uniform sampler2D key_map, sky_map;
uniform float key_blur, sky_blur;  // radius of the shadow's filter, share of the map
uniform uint label;

in vec3 v_model;
in vec3 v_world;
in vec3 v_normal;
in vec2 v_uv;
in float v_open;

layout(location = 0) out vec4 out_colour;
layout(location = 1) out uint out_label;

const vec2 DISK[4] = vec2[](
    vec2(-0.85, 0.20), vec2(-0.10, -0.55), vec2(0.62, -0.10), vec2(0.20, 0.80));

float hash(vec2 p) {
    return fract(52.9829189 * fract(dot(p, vec2(0.06711056, 0.00583715))));
}

float hash3(vec3 p) {
    p = fract(p * vec3(0.1031, 0.1030, 0.0973));
    p += dot(p, p.yxz + 33.33);
    return fract((p.x + p.y) * p.z);
}

// Value noise, -1..1.
float noise(vec3 p) {
    vec3 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    float a = mix(mix(hash3(i), hash3(i + vec3(1, 0, 0)), f.x),
                  mix(hash3(i + vec3(0, 1, 0)), hash3(i + vec3(1, 1, 0)), f.x), f.y);
    float b = mix(mix(hash3(i + vec3(0, 0, 1)), hash3(i + vec3(1, 0, 1)), f.x),
                  mix(hash3(i + vec3(0, 1, 1)), hash3(i + vec3(1, 1, 1)), f.x), f.y);
    return 2.0 * mix(a, b, f.z) - 1.0;
}

// Share of a light that arrives: a few taps, turned by the sample, so that a pixel has many.
float lit(sampler2D map, mat4 to_clip, float radius, float bias, int taps) {
    vec3 at = (to_clip * vec4(v_world, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(at, vec3(0.0))) || any(greaterThan(at, vec3(1.0)))) return 1.0;
    float angle = 6.2831853 * hash(gl_FragCoord.xy);
    mat2 turn = radius * mat2(cos(angle), sin(angle), -sin(angle), cos(angle));
    float sum = 0.0;
    for (int k = 0; k < taps; ++k)
        sum += step(at.z - bias, textureLod(map, at.xy + turn * DISK[k], 0.0).r);
    return sum / float(taps);
}

float key_light(vec3 n) {
    float slope = 1.0 - clamp(dot(n, key_direction), 0.0, 1.0);
    return lit(key_map, key_clip, key_blur, 0.0035 + (0.010 + 0.5 * key_blur) * slope, 4);
}

// One tap, for what is too thin to show the difference.
float key_light_quick() {
    return lit(key_map, key_clip, 0.5 * key_blur, 0.0085 + 0.25 * key_blur, 1);
}

// How much of the sky and the room reaches a point past hair, brow ridge, nose and chin.
float sky_light() {
    return mix(0.42, 1.0, lit(sky_map, sky_clip, sky_blur, 0.02, 2));
}

vec3 ambient(vec3 n) {
    vec3 sum = sh[0] + sh[1] * n.y + sh[2] * n.z + sh[3] * n.x + sh[4] * n.x * n.y
        + sh[5] * n.y * n.z + sh[6] * (3.0 * n.z * n.z - 1.0) + sh[7] * n.x * n.z
        + sh[8] * (n.x * n.x - n.y * n.y);
    return max(sum, vec3(0.0));
}

// Diffuse light that wraps around the edge, further in red: scattering under the surface.
vec3 wrapped(float cosine, vec3 wrap) {
    vec3 t = clamp((vec3(cosine) + wrap) / (1.0 + wrap), 0.0, 1.0);
    return t * t / (t + 0.12 * (1.0 - t) + 1e-4) / (1.0 + 0.5 * wrap);
}

// GGX with Schlick's Fresnel term and the joint visibility of Karis (2013).
float specular(vec3 n, vec3 v, vec3 l, float roughness, float f0) {
    vec3 h = normalize(v + l);
    float nl = clamp(dot(n, l), 0.0, 1.0), nv = clamp(dot(n, v), 0.02, 1.0);
    float nh = clamp(dot(n, h), 0.0, 1.0), vh = clamp(dot(v, h), 0.0, 1.0);
    float a = roughness * roughness, d = nh * nh * (a * a - 1.0) + 1.0;
    float visible = 0.25 / mix(nl * nv, 0.5 * (nl + nv), a * 0.8 + 0.2);
    float fresnel = f0 + (1.0 - f0) * pow(1.0 - vh, 5.0);
    return min(a * a / (3.14159 * d * d) * visible * fresnel, 6.0) * nl;
}

float luminance(vec3 c) { return dot(c, vec3(0.2126, 0.7152, 0.0722)); }
