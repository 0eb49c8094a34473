uniform sampler2D albedo;  // linear colour
uniform sampler2D detail;  // fine structure of a large skin as a ratio, 0.5 is 1
uniform sampler2D marks;   // r lips, g beard, b scalp
uniform vec3 gain;         // from the texture's skin colour to the person's
uniform vec3 mean;
uniform float contrast, detail_contrast, bump, roughness, shine, freckles, stubble, redness;
uniform vec3 lips, stubble_colour;
uniform float scalp;       // 1 shows the painted scalp, 0 bare skin
uniform float seed;

void main() {
    vec3 view = normalize(camera - v_world);
    vec3 n = normalize(v_normal);
    vec3 smooth_n = n;

    vec3 mark = texture(marks, v_uv).rgb;
    float fine = texture(detail, v_uv).r * 2.0;
    vec3 base = mix(mean, texture(albedo, v_uv).rgb, mix(scalp, 1.0, 1.0 - mark.b));
    vec3 ratio = pow(max(base, vec3(1e-3)) / mean, vec3(contrast));
    vec3 p = v_model;
    float pores = noise(p * 120.0 + seed);
    float blotch = noise(p * 9.0 + seed);
    vec3 colour = gain * mean * ratio;
    colour *= mix(1.0, fine, detail_contrast) * (1.0 + 0.035 * pores);
    colour *= 1.0 + redness * blotch * vec3(0.035, -0.02, -0.03);
#ifdef FRECKLES
    {
        float spot = noise(p * 38.0 + 2.0 * seed) * 0.7 + noise(p * 75.0 + seed) * 0.5;
        float front = smoothstep(-0.1, 0.25, p.z);
        colour *= mix(vec3(1.0), vec3(0.72, 0.55, 0.42),
                      freckles * front * smoothstep(0.42, 0.62, spot) * (1.0 - mark.r));
    }
#endif
    colour = mix(colour, colour * lips, mark.r);
#ifdef STUBBLE
    {
        float hairs = 0.65 + 0.5 * noise(vec3(v_uv * 1400.0, seed));
        colour = mix(colour, stubble_colour, clamp(stubble * mark.g * hairs, 0.0, 0.85) * (1.0 - mark.r));
    }
#endif

    // Pores tilt the normal by the slope of the fine structure over the picture.
    float height = fine + 0.05 * pores;
    vec3 dx = dFdx(v_world), dy = dFdy(v_world);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    vec3 slope = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2);
    float keep = 1.0 - smoothstep(0.3, 0.8, length(fwidth(v_uv)) * 60.0);
    vec3 tilt = bump * keep * slope / max(abs(det), 1e-12);
    tilt *= min(1.0, 0.22 / max(length(tilt), 1e-6));  // no bump throws a glint of its own
    n = normalize(n - tilt);

    float open = v_open;
    vec3 wrap = vec3(0.42, 0.22, 0.16);
    float arrives = key_light(smooth_n);
    // Light bleeds red over the edge of a shadow.
    vec3 shade = pow(vec3(arrives), vec3(0.62, 0.92, 1.0));
    float around = sky_light() * open;
    vec3 tint = mix(vec3(1.0), colour / max(luminance(colour), 1e-3), 0.35);  // light between folds
    vec3 diffuse = key_colour * shade * wrapped(dot(mix(n, smooth_n, 0.4), key_direction), wrap)
        * mix(0.35, 1.0, open)
        + fill_colour * wrapped(dot(n, fill_direction), wrap) * open
        + rim_colour * wrapped(dot(n, rim_direction), wrap) * open
        + ambient(n) * around * mix(tint, vec3(1.0), open);

    float gloss = shine * mix(1.0, 1.6, mark.r);
    float rough = clamp(roughness + 0.1 * pores, 0.22, 0.8) * mix(1.0, 0.75, mark.r);
    float grazing = 1.0 - clamp(dot(smooth_n, view), 0.0, 1.0);
    vec3 reflect_n = normalize(mix(n, smooth_n, max(0.25, grazing)));
    vec3 highlight = key_colour * arrives * specular(reflect_n, view, key_direction, rough, 0.028)
        + fill_colour * specular(reflect_n, view, fill_direction, rough, 0.028);
    float edge = 0.028 + 0.35 * pow(grazing, 5.0);
    vec3 mirrored = ambient(reflect(-view, reflect_n)) * edge * around;
    vec3 result = colour * diffuse + gloss * open * (highlight + 0.8 * mirrored);
    if (label == 3u) result *= 0.35 * open;  // the lining of the mouth
    out_colour = vec4(result, 1.0);
    out_label = label;
}
