uniform vec3 colour, second;
uniform float roughness, f0, pattern, pattern_scale, dark_below;
uniform float opacity;
uniform vec4 edge;      // hidden where y > edge.x + edge.y * |x| + edge.z * x * x + edge.w * z
uniform vec4 floor_edge; // hidden where y < the same of these
uniform sampler2D albedo;
uniform float textured; // 1 takes the colour from the texture
uniform int both_sides;
uniform vec3 fade;      // darkens from z = fade.x to fade.y down to fade.z: the depth of a mouth

float line(vec4 e) {
    return e.x + e.y * abs(v_model.x) + e.z * v_model.x * v_model.x + e.w * v_model.z;
}

void main() {
    if (v_model.y > line(edge) || v_model.y < line(floor_edge)) discard;
    vec3 view = normalize(camera - v_world);
    vec3 n = normalize(v_normal);
    if (!gl_FrontFacing) { if (both_sides == 0) discard; n = -n; }
    vec3 p = v_model * pattern_scale;
    float weave = 0.0;
#ifdef PATTERN
    if (pattern > 2.5) weave = smoothstep(-0.1, 0.3, noise(p * 1.5));
    else if (pattern > 1.5) weave = step(0.0, sin(p.x * 6.0) * sin(p.y * 6.0));
    else if (pattern > 0.5) weave = step(0.0, sin(p.y * 6.0));
#endif
    vec3 base = mix(colour, second, weave) * (1.0 + 0.10 * noise(v_model * 60.0));
    base = mix(base, colour * texture(albedo, v_uv).rgb, textured);
    float arrives = key_light(n);
    float around = sky_light();
    vec3 wrap = vec3(0.12);
    vec3 diffuse = key_colour * arrives * wrapped(dot(n, key_direction), wrap)
        + fill_colour * wrapped(dot(n, fill_direction), wrap)
        + rim_colour * wrapped(dot(n, rim_direction), wrap)
        + ambient(n) * around;
    vec3 highlight = key_colour * arrives * specular(n, view, key_direction, roughness, f0)
        + fill_colour * specular(n, view, fill_direction, roughness, f0)
        + rim_colour * specular(n, view, rim_direction, roughness, f0);
    float rim = f0 + (1.0 - f0) * pow(1.0 - clamp(dot(n, view), 0.0, 1.0), 5.0);
    vec3 mirrored = ambient(reflect(-view, n)) * rim * (1.0 - roughness) * around;
    float depth = mix(fade.z, 1.0, smoothstep(fade.x, fade.y, v_model.z)) * v_open;
    vec3 reflected = (highlight + mirrored) * depth;
    float shown = clamp(opacity + luminance(reflected) * (1.0 - opacity), 0.0, 1.0);
    out_colour = vec4((base * diffuse * depth * opacity + reflected) / max(shown, 1e-3), shown);
    out_label = label;
}
