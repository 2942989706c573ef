// How names are shortened on the command line. Pure.
#pragma once

#include <string>
#include <string_view>

namespace allod::cli::commands {

// "models/starter" of "starter", where `collection` is "models"; what has a slash already stays as it is.
inline std::string FullName(std::string_view collection, const std::string& text) {
  if (text.find('/') != std::string::npos) return text;
  return std::string(collection) + "/" + text;
}

}  // namespace allod::cli::commands
