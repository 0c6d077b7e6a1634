/* words.c: the 256 words of a fingerprint, four of them for the first 32 bits of a key_hash.
 *
 * The list is part of what people compare over the telephone: once released, no word may change its place. Chosen to
 * be short, common, harmless and different to the ear; ident_test checks that they are distinct. Four words guard
 * against a mistake and a casual impostor, not against 2^32 tries: programs always compare the whole key_hash.
 */
#include <stdio.h>

#include "proto/ident.h"

static const char words[256][8] = {
    "acorn",  "actor",   "album",   "amber",   "angle",   "ankle",   "apple",   "apron",   "arch",    "arrow",   "atlas",   "attic",
    "autumn", "bacon",   "badge",   "bagel",   "baker",   "bamboo",  "banjo",   "barn",    "basil",   "basket",  "beach",   "beaver",
    "bell",   "bench",   "berry",   "birch",   "bishop",  "bison",   "blanket", "blue",    "boat",    "bonnet",  "book",    "bottle",
    "bowl",   "branch",  "bread",   "brick",   "bridge",  "broom",   "bucket",  "bugle",   "butter",  "button",  "cabin",   "cactus",
    "camel",  "candle",  "canoe",   "canyon",  "carbon",  "carpet",  "carrot",  "castle",  "cedar",   "cello",   "chalk",   "cheese",
    "cherry", "chess",   "circle",  "citrus",  "clay",    "cliff",   "clock",   "cloud",   "clover",  "coast",   "cobalt",  "coffee",
    "comet",  "copper",  "coral",   "cotton",  "cradle",  "crane",   "crayon",  "cricket", "crystal", "cup",     "daisy",   "dancer",
    "dawn",   "desert",  "desk",    "diamond", "dinner",  "doctor",  "dolphin", "donkey",  "door",    "dragon",  "drum",    "eagle",
    "echo",   "elbow",   "elm",     "ember",   "engine",  "fabric",  "falcon",  "farmer",  "feather", "fern",    "ferry",   "fiddle",
    "field",  "finch",   "flag",    "flute",   "fog",     "forest",  "fossil",  "fowl",    "fox",     "frost",   "galaxy",  "garden",
    "garlic", "geyser",  "ginger",  "giraffe", "glacier", "globe",   "glove",   "goat",    "gold",    "granite", "grape",   "guitar",
    "hammer", "harbor",  "harp",    "hazel",   "helmet",  "heron",   "hill",    "honey",   "hotel",   "igloo",   "iron",    "island",
    "ivory",  "jacket",  "jaguar",  "jasmine", "jelly",   "jewel",   "jungle",  "kayak",   "kettle",  "key",     "kitchen", "kite",
    "koala",  "ladder",  "lagoon",  "lake",    "lamp",    "lantern", "lark",    "laundry", "leaf",    "lemon",   "letter",  "lily",
    "linen",  "lion",    "lobster", "lotus",   "lunch",   "magnet",  "mango",   "maple",   "marble",  "meadow",  "melon",   "mirror",
    "mitten", "moon",    "moss",    "motor",   "museum",  "napkin",  "nectar",  "nickel",  "nine",    "north",   "oak",     "oasis",
    "ocean",  "olive",   "onion",   "opera",   "orange",  "orchid",  "otter",   "oyster",  "paddle",  "palace",  "panda",   "paper",
    "parrot", "pebble",  "pepper",  "piano",   "pillow",  "pine",    "planet",  "plum",    "pocket",  "pond",    "poppy",   "potato",
    "prism",  "pumpkin", "puzzle",  "quartz",  "quilt",   "rabbit",  "radio",   "rain",    "raven",   "ribbon",  "river",   "robin",
    "rocket", "sail",    "salmon",  "sand",    "satin",   "scarf",   "school",  "shadow",  "silver",  "spoon",   "spring",  "squash",
    "star",   "summer",  "table",   "teapot",  "thunder", "ticket",  "tiger",   "tomato",  "tulip",   "turtle",  "valley",  "velvet",
    "violin", "walnut",  "willow",  "zebra",
};

void fingerprint_words(const uint8_t key_hash[KEY_HASH_BYTES], char buf[WORDS_TEXT])
{
	snprintf(buf, WORDS_TEXT, "%s-%s-%s-%s", words[key_hash[0]], words[key_hash[1]], words[key_hash[2]], words[key_hash[3]]);
}
