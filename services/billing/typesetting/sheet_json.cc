#include "services/billing/typesetting/sheet_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace allod::billing::typesetting {
namespace {

using nlohmann::json;

std::unexpected<Error> Invalid(const std::string& what) {
  return InvalidArgument("INVALID_SHEET", fmt::format("sheet: {}", what));
}

// Each visit names the fields of one type; both directions go over the same names.
template <typename Visitor>
void Visit(Visitor& v, auto& fact) requires std::is_same_v<std::remove_cvref_t<decltype(fact)>, Fact> {
  v("name", fact.name);
  v("value", fact.value);
}
template <typename Visitor>
void Visit(Visitor& v, auto& block) requires std::is_same_v<std::remove_cvref_t<decltype(block)>, Block> {
  v("title", block.title);
  v("lines", block.lines);
}
template <typename Visitor>
void Visit(Visitor& v, auto& column) requires std::is_same_v<std::remove_cvref_t<decltype(column)>, Column> {
  v("title", column.title);
  v("is_number", column.is_number);
}
template <typename Visitor>
void Visit(Visitor& v, auto& cell) requires std::is_same_v<std::remove_cvref_t<decltype(cell)>, Cell> {
  v("text", cell.text);
  v("small", cell.small);
}
template <typename Visitor>
void Visit(Visitor& v, auto& row) requires std::is_same_v<std::remove_cvref_t<decltype(row)>, Row> {
  v("cells", row.cells);
  v("running", row.running);
}
template <typename Visitor>
void Visit(Visitor& v, auto& total) requires std::is_same_v<std::remove_cvref_t<decltype(total)>, Total> {
  v("name", total.name);
  v("value", total.value);
  v("is_due", total.is_due);
}
template <typename Visitor>
void Visit(Visitor& v, auto& sheet) requires std::is_same_v<std::remove_cvref_t<decltype(sheet)>, Sheet> {
  v("language", sheet.language);
  v("is_right_to_left", sheet.is_right_to_left);
  v("title", sheet.title);
  v("number", sheet.number);
  v("issuer", sheet.issuer);
  v("created", sheet.created);
  v("facts", sheet.facts);
  v("blocks", sheet.blocks);
  v("columns", sheet.columns);
  v("rows", sheet.rows);
  v("totals", sheet.totals);
  v("notes", sheet.notes);
  v("carried_forward", sheet.carried_forward);
  v("brought_forward", sheet.brought_forward);
  v("page_of", sheet.page_of);
}

std::size_t MaxOf(const std::vector<Row>&) { return kRowsMax; }
std::size_t MaxOf(const std::vector<Column>&) { return kColumnsMax; }
std::size_t MaxOf(const std::vector<Cell>&) { return kColumnsMax; }
template <typename T>
std::size_t MaxOf(const std::vector<T>&) {
  return kListMax;
}

class Writer {
 public:
  explicit Writer(std::string& problem) : problem_(problem) {}
  template <typename T>
  json Write(const char* field, const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (value.size() > kTextBytesMax) problem_ = fmt::format("{} has more than {} bytes", field, kTextBytesMax);
      return value;
    } else if constexpr (std::is_same_v<T, bool>) {
      return value;
    } else if constexpr (requires { value.begin(); }) {
      if (value.size() > MaxOf(value)) problem_ = fmt::format("{} has more than {} elements", field, MaxOf(value));
      json out = json::array();
      for (const auto& element : value) out.push_back(Write(field, element));
      return out;
    } else {
      json out = json::object();
      auto visitor = [&](const char* name, const auto& member) { out[name] = Write(name, member); };
      Visit(visitor, value);
      return out;
    }
  }

 private:
  std::string& problem_;
};

class Reader {
 public:
  explicit Reader(std::string& problem) : problem_(problem) {}
  template <typename T>
  void Read(const char* field, const json& from, T& out) {
    if (!problem_.empty()) return;
    if constexpr (std::is_same_v<T, std::string>) {
      if (!from.is_string()) return Complain(field, "is not text");
      if (from.get_ref<const std::string&>().size() > kTextBytesMax) return Complain(field, "is too long");
      out = from.get<std::string>();
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!from.is_boolean()) return Complain(field, "is neither true nor false");
      out = from.get<bool>();
    } else if constexpr (requires { out.begin(); }) {
      if (!from.is_array()) return Complain(field, "is not a list");
      if (from.size() > MaxOf(out)) return Complain(field, "has too many elements");
      for (const json& element : from) Read(field, element, out.emplace_back());
    } else {
      ReadObject(field, from, out);
    }
  }
  template <typename T>
  void ReadObject(const char* field, const json& from, T& out) {
    if (!from.is_object()) return Complain(field, "is not an object");
    std::size_t known = 0;
    auto visitor = [&](const char* name, auto& member) {
      const auto found = from.find(name);
      if (found == from.end()) return Complain(name, "is missing");
      ++known;
      Read(name, *found, member);
    };
    Visit(visitor, out);
    if (problem_.empty() && known != from.size()) Complain(field, "has a field that is not known");
  }

 private:
  void Complain(const char* field, const char* what) {
    if (problem_.empty()) problem_ = fmt::format("{} {}", field, what);
  }
  std::string& problem_;
};

Status CheckRows(const Sheet& sheet) {
  if (sheet.columns.empty()) return Invalid("columns are missing");
  for (std::size_t i = 0; i < sheet.rows.size(); ++i) {
    if (sheet.rows[i].cells.size() != sheet.columns.size()) {
      return Invalid(
          fmt::format("rows[{}] has {} cells in {} columns", i, sheet.rows[i].cells.size(), sheet.columns.size()));
    }
  }
  return {};
}

}  // namespace

Result<std::string> ToJson(const Sheet& sheet) {
  ALLOD_CHECK_OK(CheckRows(sheet));
  std::string problem;
  json out = json::object({{"version", kSheetVersion}, {"sheet", Writer(problem).Write("sheet", sheet)}});
  if (!problem.empty()) return Invalid(problem);
  try {
    std::string text = out.dump();
    if (text.size() > kSheetBytesMax) return Invalid(fmt::format("has more than {} bytes", kSheetBytesMax));
    return text;
  } catch (const json::exception&) {
    return Invalid("has text that is not UTF-8");
  }
}

Result<Sheet> ParseSheet(std::string_view text) {
  if (text.size() > kSheetBytesMax) return Invalid(fmt::format("has more than {} bytes", kSheetBytesMax));
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || parsed.size() != 2 || !parsed.contains("version") || !parsed.contains("sheet")) {
    return Invalid("is not an object of version and sheet");
  }
  if (parsed["version"] != kSheetVersion) return Invalid(fmt::format("is not of version {}", kSheetVersion));
  Sheet out;
  std::string problem;
  Reader(problem).ReadObject("sheet", parsed["sheet"], out);
  if (!problem.empty()) return Invalid(problem);
  ALLOD_CHECK_OK(CheckRows(out));
  return out;
}

}  // namespace allod::billing::typesetting
