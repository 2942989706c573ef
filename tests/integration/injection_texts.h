// Texts for every place that takes one, bad and good.
#pragma once

#include <string>
#include <vector>

namespace allod {

// What a database, a driver, a shell, Redis, a format, a path or a log might read in a text.
const std::vector<std::string>& HostileTexts();

// Of what a text may be: the same places are filled with them first, so that whatever they lead to has been done once.
// They speak of tenant ke, project nyumba and the things there called jamii (belongings.h).
const std::vector<std::string>& HarmlessTexts();

}  // namespace allod
