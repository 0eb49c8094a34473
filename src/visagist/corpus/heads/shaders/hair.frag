// SOLID: drawn where the depth is this surface's own, so nothing is left to decide.
// LABEL: no light, only where the region is.
// Neither: soft edges, brows and lashes; what is so thin needs no highlights.
uniform sampler2D strands;  // r brightness, g alpha
uniform vec3 colour, tip;
uniform float shine, spread, cutoff, ceiling, label_bias;
uniform vec2 hat;           // hair over y = hat.x + hat.y * z lies under a hat
uniform vec3 crown;         // in the world
uniform float depth_zero;   // radius of the skull: hair nearer to it is darker

void main() {
    vec2 texel = texture(strands, v_uv).rg;
    float alpha = texel.g;
#ifdef LABEL
    if (v_model.y > hat.x + hat.y * v_model.z) discard;
    // The region rather than the single hairs: alpha is averaged over the neighbourhood.
    if (texture(strands, v_uv, label_bias).g < cutoff) discard;
    out_colour = vec4(0.0);
    out_label = label;
#else
#ifndef SOLID
    if (v_model.y > hat.x + hat.y * v_model.z) discard;
    if (alpha < cutoff || alpha >= ceiling) discard;
#endif

    vec3 view = normalize(camera - v_world);
    vec3 n = normalize(v_normal);
    if (dot(n, view) < 0.0) n = -n;
#ifdef SOLID
    float strand = noise(vec3(v_uv * vec2(420.0, 60.0), 1.0));
#else
    float strand = 0.0;
#endif
    float bright = clamp(texel.r * (1.0 + 0.10 * strand), 0.0, 1.0);
    vec3 base = mix(colour, tip, smoothstep(0.2, 0.9, bright) * 0.6)
        * mix(1.0, 2.4 * bright * (0.35 + 0.65 * bright) + 0.18, spread);

#ifdef SOLID
    float arrives = key_light(n);
#else
    float arrives = key_light_quick();
#endif
    float around = sky_light();
    vec3 wrap = vec3(0.35);
    vec3 diffuse = key_colour * arrives * wrapped(dot(n, key_direction), wrap)
        + fill_colour * wrapped(dot(n, fill_direction), wrap)
        + rim_colour * wrapped(dot(n, rim_direction), wrap)
        + ambient(n) * around;
    vec3 lobes = vec3(0.0);
#ifdef SOLID
    // Strands flow away from the crown, over the surface.
    vec3 flow = v_world - crown;
    vec3 t = normalize(flow - n * dot(n, flow) + vec3(0.0, 1e-4, 0.0));
    // Two lobes of Kajiya and Kay, shifted along the strand; the second takes the hair's colour.
    float jitter = 0.08 * strand;
    vec3 directions[2] = vec3[](key_direction, rim_direction);
    vec3 colours[2] = vec3[](key_colour * arrives, rim_colour);
    for (int k = 0; k < 2; ++k) {
        vec3 h = normalize(directions[k] + view);
        float th = dot(normalize(t + (0.08 + jitter) * n), h);
        float th2 = dot(normalize(t + (-0.15 + jitter) * n), h);
        float facing = smoothstep(-0.25, 0.5, dot(n, directions[k]));
        float s = sqrt(max(1.0 - th * th, 0.0)), s2 = sqrt(max(1.0 - th2 * th2, 0.0));
        lobes += colours[k] * facing * (vec3(0.035) * pow(s, 90.0) + 0.6 * base * pow(s2, 24.0));
    }
#endif
    float inner = mix(0.55, 1.0, smoothstep(depth_zero - 0.05, depth_zero + 0.25,
                                            length(v_model - vec3(0.0, 0.1, -0.75))));
    out_colour = vec4(base * diffuse * inner + shine * lobes, alpha >= 0.5 ? 1.0 : alpha * 2.0);
    out_label = label;
#endif
}
