#include "services/billing/typesetting/fonts.h"

#include <fmt/format.h>
#include <fontconfig/fontconfig.h>
#include <glib.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <vector>

namespace allod::billing::typesetting {
namespace {

constexpr std::string_view kNoto = "truetype/noto/";
constexpr std::string_view kNotoPackage = "fonts-noto-core";

// A family, and how its files are called: `{stem}-Regular.ttf`, `{stem}-Bold.ttf`.
struct Family {
  GUnicodeScript script;
  std::string_view stem;
  std::string_view name;
};

constexpr Family kBase{G_UNICODE_SCRIPT_LATIN, "NotoSans", "Noto Sans"};

constexpr auto kFamilies = std::to_array<Family>({
    {G_UNICODE_SCRIPT_ADLAM, "NotoSansAdlam", "Noto Sans Adlam"},
    {G_UNICODE_SCRIPT_ARABIC, "NotoSansArabic", "Noto Sans Arabic"},
    {G_UNICODE_SCRIPT_ARMENIAN, "NotoSansArmenian", "Noto Sans Armenian"},
    {G_UNICODE_SCRIPT_BALINESE, "NotoSansBalinese", "Noto Sans Balinese"},
    {G_UNICODE_SCRIPT_BENGALI, "NotoSansBengali", "Noto Sans Bengali"},
    {G_UNICODE_SCRIPT_CANADIAN_ABORIGINAL, "NotoSansCanadianAboriginal", "Noto Sans Canadian Aboriginal"},
    {G_UNICODE_SCRIPT_CHEROKEE, "NotoSansCherokee", "Noto Sans Cherokee"},
    {G_UNICODE_SCRIPT_COPTIC, "NotoSansCoptic", "Noto Sans Coptic"},
    {G_UNICODE_SCRIPT_DEVANAGARI, "NotoSansDevanagari", "Noto Sans Devanagari"},
    {G_UNICODE_SCRIPT_ETHIOPIC, "NotoSansEthiopic", "Noto Sans Ethiopic"},
    {G_UNICODE_SCRIPT_GEORGIAN, "NotoSansGeorgian", "Noto Sans Georgian"},
    {G_UNICODE_SCRIPT_GUJARATI, "NotoSansGujarati", "Noto Sans Gujarati"},
    {G_UNICODE_SCRIPT_GURMUKHI, "NotoSansGurmukhi", "Noto Sans Gurmukhi"},
    {G_UNICODE_SCRIPT_HEBREW, "NotoSansHebrew", "Noto Sans Hebrew"},
    {G_UNICODE_SCRIPT_JAVANESE, "NotoSansJavanese", "Noto Sans Javanese"},
    {G_UNICODE_SCRIPT_KANNADA, "NotoSansKannada", "Noto Sans Kannada"},
    {G_UNICODE_SCRIPT_KHMER, "NotoSansKhmer", "Noto Sans Khmer"},
    {G_UNICODE_SCRIPT_LAO, "NotoSansLao", "Noto Sans Lao"},
    {G_UNICODE_SCRIPT_MALAYALAM, "NotoSansMalayalam", "Noto Sans Malayalam"},
    {G_UNICODE_SCRIPT_MONGOLIAN, "NotoSansMongolian", "Noto Sans Mongolian"},
    {G_UNICODE_SCRIPT_MYANMAR, "NotoSansMyanmar", "Noto Sans Myanmar"},
    {G_UNICODE_SCRIPT_NKO, "NotoSansNKo", "Noto Sans NKo"},
    {G_UNICODE_SCRIPT_OL_CHIKI, "NotoSansOlChiki", "Noto Sans Ol Chiki"},
    {G_UNICODE_SCRIPT_ORIYA, "NotoSansOriya", "Noto Sans Oriya"},
    {G_UNICODE_SCRIPT_OSMANYA, "NotoSansOsmanya", "Noto Sans Osmanya"},
    {G_UNICODE_SCRIPT_SINHALA, "NotoSansSinhala", "Noto Sans Sinhala"},
    {G_UNICODE_SCRIPT_SYRIAC, "NotoSansSyriac", "Noto Sans Syriac"},
    {G_UNICODE_SCRIPT_TAMIL, "NotoSansTamil", "Noto Sans Tamil"},
    {G_UNICODE_SCRIPT_TELUGU, "NotoSansTelugu", "Noto Sans Telugu"},
    {G_UNICODE_SCRIPT_THAANA, "NotoSansThaana", "Noto Sans Thaana"},
    {G_UNICODE_SCRIPT_THAI, "NotoSansThai", "Noto Sans Thai"},
    {G_UNICODE_SCRIPT_TIBETAN, "NotoSerifTibetan", "Noto Serif Tibetan"},
    {G_UNICODE_SCRIPT_TIFINAGH, "NotoSansTifinagh", "Noto Sans Tifinagh"},
    {G_UNICODE_SCRIPT_VAI, "NotoSansVai", "Noto Sans Vai"},
});

struct File {
  std::string path;  // below the directory
  std::string_view family;
  std::string_view package;
  bool is_optional = false;
};

File Chinese(std::string_view weight) {
  return {fmt::format("opentype/noto/NotoSansCJK-{}.ttc", weight), "Noto Sans CJK SC", "fonts-noto-cjk"};
}

std::vector<File> FilesOf(const Family& family) {
  std::vector<File> out;
  for (const std::string_view weight : {"Regular", "Bold"}) {
    // Some scripts have no bold.
    out.push_back(
        {fmt::format("{}{}-{}.ttf", kNoto, family.stem, weight), family.name, kNotoPackage, weight == "Bold"});
  }
  return out;
}

std::vector<File> FilesFor(char32_t character) {
  const GUnicodeScript script = g_unichar_get_script(character);
  for (const Family& family : kFamilies) {
    if (family.script == script) return FilesOf(family);
  }
  switch (script) {
    case G_UNICODE_SCRIPT_HAN:
    case G_UNICODE_SCRIPT_HIRAGANA:
    case G_UNICODE_SCRIPT_KATAKANA:
    case G_UNICODE_SCRIPT_HANGUL:
    case G_UNICODE_SCRIPT_BOPOMOFO:
      return {Chinese("Regular"), Chinese("Bold")};
    default:
      // Signs that no script has for itself.
      return {{fmt::format("{}NotoSansSymbols-Regular.ttf", kNoto), "Noto Sans Symbols", kNotoPackage},
              {fmt::format("{}NotoSansSymbols2-Regular.ttf", kNoto), "Noto Sans Symbols2", kNotoPackage},
              {fmt::format("{}NotoSansMath-Regular.ttf", kNoto), "Noto Sans Math", kNotoPackage}};
  }
}

// Directions, joiners and the like, and what separates words or lines.
bool HasNoGlyph(char32_t character) {
  switch (g_unichar_type(character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return true;
    default:
      return character == ' ' || (character >= 0xfe00 && character <= 0xfe0f);  // variation selectors
  }
}

std::string Named(char32_t character) {
  char utf8[7] = {};
  g_unichar_to_utf8(character, utf8);
  return fmt::format("'{}' (U+{:04X})", utf8, static_cast<unsigned>(character));
}

class Loader {
 public:
  explicit Loader(std::filesystem::path directory) : directory_(std::move(directory)) {
    fonts_.config.reset(FcConfigCreate());
  }

  Status Load(const std::vector<File>& files, char32_t needed_by) {
    for (const File& file : files) {
      if (!loaded_.insert(file.path).second) continue;
      const std::filesystem::path path = directory_ / file.path;
      if (file.is_optional && access(path.c_str(), F_OK) != 0) continue;
      if (FcConfigAppFontAddFile(fonts_.config.get(), reinterpret_cast<const FcChar8*>(path.c_str())) != FcTrue) {
        return FailedPrecondition("MISSING_FONT",
                                  fmt::format("{} needs the font {}, which is not there: install the Debian package {}",
                                              Named(needed_by), path.string(), file.package));
      }
      if (families_.insert(file.family).second) {
        fonts_.families += (fonts_.families.empty() ? "" : ",") + std::string(file.family);
      }
    }
    return {};
  }

  bool Has(char32_t character) const {
    const FcFontSet* set = FcConfigGetFonts(fonts_.config.get(), FcSetApplication);
    for (int i = 0; set != nullptr && i < set->nfont; ++i) {
      FcCharSet* covered = nullptr;
      if (FcPatternGetCharSet(set->fonts[i], FC_CHARSET, 0, &covered) == FcResultMatch &&
          FcCharSetHasChar(covered, character) == FcTrue) {
        return true;
      }
    }
    return false;
  }

  Fonts Take() { return std::move(fonts_); }

 private:
  const std::filesystem::path directory_;
  std::set<std::string> loaded_;
  std::set<std::string_view> families_;
  Fonts fonts_;
};

}  // namespace

void FcConfigDeleter::operator()(FcConfig* config) const { FcConfigDestroy(config); }

Result<Fonts> LoadFonts(const std::set<char32_t>& characters, const std::filesystem::path& directory) {
  Loader loader(directory);
  ALLOD_CHECK_OK(loader.Load(FilesOf(kBase), U'0'));
  for (const char32_t character : characters) {
    if (HasNoGlyph(character) || loader.Has(character)) continue;
    ALLOD_CHECK_OK(loader.Load(FilesFor(character), character));
    if (!loader.Has(character)) {
      return FailedPrecondition("MISSING_GLYPH", fmt::format("{} is in none of the fonts that invoices are set in; "
                                                             "take another format, or correct the text",
                                                             Named(character)));
    }
  }
  Fonts out = loader.Take();
  // What asks for no configuration of its own gets this one, and the machine's is never read.
  FcConfigSetCurrent(out.config.get());
  return out;
}

}  // namespace allod::billing::typesetting
