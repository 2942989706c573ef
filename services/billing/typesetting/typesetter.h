// Port to what makes a PDF of a sheet. Thread-safe.
#pragma once

#include <string>

#include "services/billing/typesetting/sheet.h"
#include "services/common/result.h"

namespace allod::billing::typesetting {

class Typesetter {
 public:
  virtual ~Typesetter() = default;
  // FAILED_PRECONDITION / PDF_NOT_CONFIGURED, MISSING_FONT, MISSING_GLYPH (fonts.h); RESOURCE_EXHAUSTED /
  // TYPESETTING_TOO_LONG: more time than it may take; UNAVAILABLE / CANNOT_START_PROCESS; INTERNAL /
  // TYPESETTING_FAILED: it crashed, or took more memory or made more output than it may.
  virtual Result<std::string> Typeset(const Sheet& sheet) = 0;
};

}  // namespace allod::billing::typesetting
