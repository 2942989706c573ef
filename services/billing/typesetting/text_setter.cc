#include "services/billing/typesetting/text_setter.h"

#include <fmt/format.h>
#include <pango/pangofc-fontmap.h>

namespace allod::billing::typesetting {
namespace {

constexpr double kPointsPerInch = 72;  // Cairo's unit in a PDF is the point

bool IsReadToLeft(gunichar letter) {
  switch (g_unichar_get_script(letter)) {
    case G_UNICODE_SCRIPT_ADLAM:
    case G_UNICODE_SCRIPT_ARABIC:
    case G_UNICODE_SCRIPT_HANIFI_ROHINGYA:
    case G_UNICODE_SCRIPT_HEBREW:
    case G_UNICODE_SCRIPT_MANDAIC:
    case G_UNICODE_SCRIPT_NKO:
    case G_UNICODE_SCRIPT_SAMARITAN:
    case G_UNICODE_SCRIPT_SYRIAC:
    case G_UNICODE_SCRIPT_THAANA:
      return true;
    default:
      return false;
  }
}

// By its first letter that is in no isolate (rules P2 and P3 of UAX 9), else as the page.
bool ReadsToLeft(std::string_view text, bool page_does) {
  constexpr gunichar kFirstIsolate = 0x2066, kLastIsolate = 0x2068, kEnd = 0x2069;
  int depth = 0;
  for (const char* c = text.data(); c < text.data() + text.size(); c = g_utf8_next_char(c)) {
    const gunichar letter = g_utf8_get_char(c);
    if (letter >= kFirstIsolate && letter <= kLastIsolate) ++depth;
    if (letter == kEnd && depth > 0) --depth;
    if (depth == 0 && g_unichar_isalpha(letter)) return IsReadToLeft(letter);
  }
  return page_does;
}

double Points(int pango_units) { return static_cast<double>(pango_units) / PANGO_SCALE; }

}  // namespace

TextSetter::TextSetter(cairo_t* cairo, Fonts fonts, const std::string& language, bool is_right_to_left)
    : cairo_(cairo),
      fonts_(std::move(fonts)),
      is_right_to_left_(is_right_to_left),
      map_(pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT)) {
  pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(map_.get()), fonts_.config.get());
  pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(map_.get()), kPointsPerInch);
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  for (int i = 0; i < 2; ++i) {
    contexts_[i].reset(pango_font_map_create_context(map_.get()));
    PangoContext* context = contexts_[i].get();
    pango_cairo_context_set_font_options(context, options);
    pango_context_set_language(context, pango_language_from_string(language.c_str()));
    pango_context_set_base_dir(context, i == 0 ? PANGO_DIRECTION_LTR : PANGO_DIRECTION_RTL);
    pango_context_set_round_glyph_positions(context, FALSE);
    layouts_[i].reset(pango_layout_new(context));
    pango_layout_set_auto_dir(layouts_[i].get(), FALSE);
    pango_layout_set_wrap(layouts_[i].get(), PANGO_WRAP_WORD_CHAR);
  }
  cairo_font_options_destroy(options);
}

PangoLayout* TextSetter::Lay(std::string_view text, const Style& style, double width_max, Side side, Reading reading) {
  const bool to_left = reading == Reading::kOwn && ReadsToLeft(text, is_right_to_left_);
  PangoLayout* layout = layouts_[to_left ? 1 : 0].get();
  PangoFontDescription* font = pango_font_description_new();
  pango_font_description_set_family(font, fonts_.families.c_str());
  pango_font_description_set_weight(font, style.bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
  pango_font_description_set_size(font, static_cast<int>(style.size * PANGO_SCALE));
  pango_layout_set_font_description(layout, font);
  pango_font_description_free(font);
  pango_layout_set_width(layout, width_max > 0 ? static_cast<int>(width_max * PANGO_SCALE) : -1);
  pango_layout_set_alignment(layout, side == Side::kLeft    ? PANGO_ALIGN_LEFT
                                     : side == Side::kRight ? PANGO_ALIGN_RIGHT
                                                            : PANGO_ALIGN_CENTER);
  pango_layout_set_text(layout, text.data(), static_cast<int>(text.size()));
  if (unknown_.empty() && pango_layout_get_unknown_glyphs_count(layout) > 0) unknown_ = text;
  return layout;
}

TextSetter::Size TextSetter::Measure(std::string_view text, const Style& style, double width_max, Reading reading) {
  int width = 0;
  int height = 0;
  PangoLayout* layout = Lay(text, style, width_max, Side::kLeft, reading);
  pango_layout_get_size(layout, &width, &height);
  return {Points(width), Points(height), Points(pango_layout_get_baseline(layout))};
}

TextSetter::Size TextSetter::Draw(std::string_view text, const Style& style, double x, double y, Side side,
                                  double width_max, Reading reading) {
  PangoLayout* layout = Lay(text, style, width_max, side, reading);
  PangoRectangle logical;
  pango_layout_get_extents(layout, nullptr, &logical);
  const double width = Points(logical.width);
  // Where lines are shorter than the layout, the rectangle begins beside its left.
  double left = x - Points(logical.x);
  if (side == Side::kRight) left -= width;
  if (side == Side::kMiddle) left -= width / 2;
  cairo_set_source_rgb(cairo_, style.grey, style.grey, style.grey);
  cairo_move_to(cairo_, left, y);
  pango_cairo_show_layout(cairo_, layout);
  return {width, Points(logical.height), Points(pango_layout_get_baseline(layout))};
}

Status TextSetter::status() const {
  if (unknown_.empty()) return {};
  return Internal(fmt::format("no glyph for a part of '{}'", unknown_));
}

}  // namespace allod::billing::typesetting
