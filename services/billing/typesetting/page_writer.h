// A sheet as PDF 1.5: A4 pages with a running head, the table's head on each, what is carried from page to page, and
// "page x of y". Pango shapes and orders every script, Cairo writes; a page that is read from right to left is the
// mirror of one that is read from left to right.
//
// The same bytes for the same sheet wherever Pango, Cairo, HarfBuzz, FreeType and the fonts are the same: no clock, no
// locale, no configuration of the machine's.
#pragma once

#include <filesystem>
#include <string>

#include "services/billing/typesetting/sheet.h"
#include "services/common/result.h"

namespace allod::billing::typesetting {

// Errors of LoadFonts; INTERNAL / PDF_NOT_WRITTEN.
Result<std::string> WritePdf(const Sheet& sheet, const std::filesystem::path& font_directory);

}  // namespace allod::billing::typesetting
