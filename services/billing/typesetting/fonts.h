// Which font files a document needs, and those alone: by the scripts of its characters, from Noto. So a page looks the
// same wherever the same font packages are, whatever else is installed or configured, and a character that none of them
// has is an error that says what to install, never an empty box.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "services/common/result.h"

typedef struct _FcConfig FcConfig;

namespace allod::billing::typesetting {

// Where Debian puts fonts.
inline constexpr const char* kFontDirectory = "/usr/share/fonts";

struct FcConfigDeleter {
  void operator()(FcConfig* config) const;
};

struct Fonts {
  std::unique_ptr<FcConfig, FcConfigDeleter> config;
  std::string families;  // in the order in which they are asked, with commas
};

// `characters`: all of the document's. FAILED_PRECONDITION / MISSING_FONT names the character, the file and its
// package; MISSING_GLYPH a character that none of the fonts has.
Result<Fonts> LoadFonts(const std::set<char32_t>& characters, const std::filesystem::path& directory);

}  // namespace allod::billing::typesetting
