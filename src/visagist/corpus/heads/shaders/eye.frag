uniform sampler2D albedo;
uniform mat3 turn;          // of the head, from the model to the world
uniform vec3 right_centre, left_centre;
uniform float radius;
uniform vec3 gaze;          // direction in the model
uniform vec3 white;

void main() {
    vec3 centre = v_model.x > 0.0 ? left_centre : right_centre;
    vec3 d = normalize(v_model - centre);
    vec3 view = normalize(camera - v_world);
    vec3 n = normalize(turn * d);
    vec3 axis = normalize(turn * gaze);
    float off = acos(clamp(dot(n, axis), -1.0, 1.0));  // radians from the pupil's middle
    vec3 colour = texture(albedo, v_uv).rgb;
    float iris = 1.0 - smoothstep(0.37, 0.43, off);
    colour = mix(colour, luminance(colour) * vec3(1.12, 1.0, 0.82), 0.45 * iris);  // less garish
    colour = mix(colour * white, colour * 0.8, iris);

    // Lids and corners shade the ball: the nearer to its rim, the darker, most from above.
    float side = abs(d.x) / 0.95;
    float up = d.y;
    float open = (1.0 - 0.55 * smoothstep(0.05, 0.5, up)) * (1.0 - 0.25 * smoothstep(-0.2, -0.55, up))
        * (1.0 - 0.55 * smoothstep(0.35, 0.9, side));
    float arrives = key_light(n);
    // The iris lies behind the cornea and catches light from the other side.
    vec3 dish = normalize(mix(n, axis - 0.6 * (n - axis), iris * 0.7));
    vec3 wrap = vec3(0.35, 0.28, 0.25);
    vec3 diffuse = key_colour * arrives * wrapped(dot(dish, key_direction), wrap)
        + fill_colour * wrapped(dot(dish, fill_direction), wrap) * open
        + ambient(dish) * sky_light() * open * 0.85;

    // The cornea bulges: its normal turns faster than the ball's.
    vec3 cornea = normalize(mix(n + 0.55 * (n - axis), n, smoothstep(0.4, 0.62, off)));
    float wet = mix(0.25, 0.10, iris);
    vec3 mirror = reflect(-view, cornea);
    vec3 highlight = key_colour * arrives * specular(cornea, view, key_direction, wet, 0.03)
        + 0.5 * fill_colour * specular(cornea, view, fill_direction, wet, 0.03);
    float edge = 0.025 + 0.4 * pow(1.0 - clamp(dot(cornea, view), 0.0, 1.0), 5.0);
    vec3 room = ambient(mirror) * edge * 1.2 * smoothstep(-0.2, 0.5, mirror.y + 0.2);
    vec3 result = colour * diffuse * mix(0.6, 1.0, open) + min(highlight, vec3(3.0)) * open + room * open;
    out_colour = vec4(result, 1.0);
    out_label = label;
}
