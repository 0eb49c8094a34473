// SOLID: drawn where the depth is this surface's own, so nothing is left to decide.
uniform sampler2D strands;  // r brightness, g alpha
uniform vec3 colour, tip;
uniform float shine, spread, cutoff, ceiling, label_bias;
uniform vec2 hat;           // hair over y = hat.x + hat.y * z lies under a hat
uniform int labels_only;
uniform float depth_zero;   // radius of the skull: hair nearer to it is darker

void main() {
    vec2 texel = texture(strands, v_uv).rg;
    float alpha = texel.g;
#ifndef SOLID
    if (v_model.y > hat.x + hat.y * v_model.z) discard;
    if (labels_only == 1) {
        // The region rather than the single hairs: alpha is averaged over the neighbourhood.
        if (texture(strands, v_uv, label_bias).g < cutoff) discard;
        out_colour = vec4(0.0);
        out_label = label;
        return;
    }
    if (alpha < cutoff || alpha >= ceiling) discard;
#endif

    vec3 view = normalize(camera - v_world);
    vec3 n = normalize(v_normal);
    if (dot(n, view) < 0.0) n = -n;
    // Strands run along the texture's v on most pieces: the tangent is where v grows.
    vec3 dx = dFdx(v_world), dy = dFdy(v_world);
    vec2 tx = dFdx(v_uv), ty = dFdy(v_uv);
    vec3 t = dx * ty.x - dy * tx.x;
    t = normalize(t + 1e-6 * vec3(0.0, 1.0, 0.0));
    float strand = noise(vec3(v_uv * vec2(420.0, 60.0), 1.0));
    float bright = clamp(texel.r * (1.0 + 0.10 * strand), 0.0, 1.0);
    vec3 base = mix(colour, tip, smoothstep(0.2, 0.9, bright) * 0.6)
        * mix(1.0, 2.4 * bright * (0.35 + 0.65 * bright) + 0.18, spread);

    float arrives = key_light(n);
    float around = sky_light();
    vec3 wrap = vec3(0.35);
    vec3 diffuse = key_colour * arrives * wrapped(dot(n, key_direction), wrap)
        + fill_colour * wrapped(dot(n, fill_direction), wrap)
        + rim_colour * wrapped(dot(n, rim_direction), wrap)
        + ambient(n) * around;
    // Two lobes of Kajiya and Kay, shifted along the strand; the second takes the hair's colour.
    float jitter = 0.08 * strand;
    vec3 lobes = vec3(0.0);
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
    float inner = mix(0.55, 1.0, smoothstep(depth_zero - 0.05, depth_zero + 0.25,
                                            length(v_model - vec3(0.0, 0.1, -0.75))));
    out_colour = vec4(base * diffuse * inner + shine * lobes, alpha >= 0.5 ? 1.0 : alpha * 2.0);
    out_label = label;
}
