// One text after another on Cairo, shaped by Pango: how large it would be, and where it stands. Not thread-safe.
#pragma once

#include <cairo.h>
#include <pango/pangocairo.h>

#include <memory>
#include <string>
#include <string_view>

#include "services/billing/typesetting/fonts.h"
#include "services/common/result.h"

namespace allod::billing::typesetting {

enum class Side { kLeft, kRight, kMiddle };

struct Style {
  double size = 9;  // points
  bool bold = false;
  double grey = 0;  // 0 is black, 1 white
};

// Which way a text is read: by its own first letter, or from left to right whatever it has (numbers, names of
// resources).
enum class Reading { kOwn, kLeftToRight };

class TextSetter {
 public:
  // Borrows `cairo`. `is_right_to_left`: of a text that has no letter.
  TextSetter(cairo_t* cairo, Fonts fonts, const std::string& language, bool is_right_to_left);

  struct Size {
    double width = 0;
    double height = 0;
    double baseline = 0;  // of the first line, from the top
  };
  // `width_max`: where lines break, at words where that is possible; 0: nowhere.
  Size Measure(std::string_view text, const Style& style, double width_max = 0, Reading reading = Reading::kOwn);
  // `x`: of the side: its left, its right or its middle; `y`: of the top. What it took.
  Size Draw(std::string_view text, const Style& style, double x, double y, Side side, double width_max = 0,
            Reading reading = Reading::kOwn);

  // INTERNAL / PDF_NOT_WRITTEN: something had no glyph although its fonts were said to have all.
  Status status() const;

 private:
  struct Unref {
    void operator()(void* object) const { g_object_unref(object); }
  };
  PangoLayout* Lay(std::string_view text, const Style& style, double width_max, Side side, Reading reading);

  cairo_t* cairo_;
  Fonts fonts_;
  bool is_right_to_left_;
  std::unique_ptr<PangoFontMap, Unref> map_;
  std::unique_ptr<PangoContext, Unref> contexts_[2];  // to the right, to the left
  std::unique_ptr<PangoLayout, Unref> layouts_[2];
  std::string unknown_;
};

}  // namespace allod::billing::typesetting
