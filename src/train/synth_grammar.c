/* The stories' words and sentences. A sentence is drawn independently of the words and of other sentences,
 * given the plot; a word is drawn once and agrees with itself in all its forms.
 *
 * The text determines every choice, which makes the choices' entropy the text's: plots differ in their second
 * sentence; the alternatives of a sentence differ from each other whatever the words are, none being the
 * beginning of another; and a variable's first mention either shows it in a form that no other value shares,
 * or such a form follows in the same sentence. The test reads stories back and finds one derivation for each.
 */
#include "anemone/data.h"
#include "train/synth.h"

#define WORDS(letter, words)                                                                                 \
    { letter, sizeof words / sizeof *words, words }
#define ONE_OF(...)                                                                                          \
    {                                                                                                        \
        sizeof((const ane_alternative[]){__VA_ARGS__}) / sizeof(ane_alternative),                            \
            (const ane_alternative[]) {                                                                      \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }

static const ane_word heroes[] = {
    {3, {"Lily", "she", "her", "her", "girl", "herself"}},
    {2, {"Mia", "she", "her", "her", "girl", "herself"}},
    {2, {"Anna", "she", "her", "her", "girl", "herself"}},
    {1, {"Rosa", "she", "her", "her", "girl", "herself"}},
    {1, {"Zoe", "she", "her", "her", "girl", "herself"}},
    {3, {"Tom", "he", "his", "him", "boy", "himself"}},
    {2, {"Ben", "he", "his", "him", "boy", "himself"}},
    {2, {"Max", "he", "his", "him", "boy", "himself"}},
    {1, {"Leo", "he", "his", "him", "boy", "himself"}},
    {1, {"Finn", "he", "his", "him", "boy", "himself"}},
};
static const ane_word traits[] = {
    {4, {"little"}}, {2, {"kind"}}, {2, {"brave"}}, {1, {"clever"}}, {1, {"quiet"}}, {1, {"funny"}}};
/* animal, what it says, how it moves, what it eats */
static const ane_word friends[] = {
    {3, {"dog", "Woof", "ran", "a bone"}},
    {3, {"cat", "Meow", "walked", "some milk"}},
    {2, {"bird", "Tweet", "flew", "some seeds"}},
    {2, {"frog", "Ribbit", "hopped", "a fly"}},
    {2, {"duck", "Quack", "waddled", "some bread"}},
    {2, {"mouse", "Squeak", "crept", "some cheese"}},
    {1, {"sheep", "Baa", "trotted", "some grass"}},
    {1, {"goat", "Maa", "jumped", "some hay"}},
};
static const ane_word names[] = {{2, {"Pip"}}, {2, {"Coco"}}, {1, {"Bingo"}}, {1, {"Momo"}}, {1, {"Dot"}}};
/* place, in it, to it, a spot, another spot */
static const ane_word places[] = {
    {3, {"park", "in the park", "to the park", "under a bench", "behind the slide"}},
    {3, {"garden", "in the garden", "to the garden", "under the roses", "behind the shed"}},
    {2, {"forest", "in the forest", "to the forest", "under an old oak", "behind a big rock"}},
    {2, {"farm", "on the farm", "to the farm", "under the hay", "behind the barn"}},
    {1, {"beach", "on the beach", "to the beach", "under a towel", "behind a sand castle"}},
    {1, {"lake", "by the lake", "to the lake", "under a boat", "behind the reeds"}},
};
/* thing, what one does with it, did with it */
static const ane_word things[] = {{3, {"ball", "kick", "kicked"}}, {2, {"kite", "fly", "flew"}},
    {2, {"hat", "wear", "wore"}}, {2, {"drum", "play", "played"}}, {1, {"book", "read", "read"}},
    {1, {"boat", "sail", "sailed"}}, {1, {"bell", "ring", "rang"}}};
static const ane_word colours[] = {
    {3, {"red"}}, {3, {"blue"}}, {2, {"green"}}, {1, {"yellow"}}, {1, {"white"}}};
static const ane_word elders[] = {{3, {"mom"}}, {2, {"dad"}}, {1, {"grandma"}}, {1, {"grandpa"}}};
static const ane_word foods[] = {{2, {"an apple", "apple"}}, {2, {"a cookie", "cookie"}},
    {1, {"a pear", "pear"}}, {1, {"a banana", "banana"}}, {1, {"some cake", "cake"}}};
static const ane_word weathers[] = {{3, {"sunny"}}, {2, {"warm"}}, {1, {"windy"}}, {1, {"cold"}}};
static const ane_word nights[] = {{2, {"dark"}}, {1, {"cold"}}, {1, {"windy"}}, {1, {"quiet"}}};
static const ane_word corners[] = {
    {2, {"under the bed"}}, {2, {"behind the door"}}, {1, {"at the window"}}, {1, {"in the kitchen"}}};
/* what is wrong, what one did about it */
static const ane_word troubles[] = {{2, {"stuck in the mud", "pulled and pulled"}},
    {1, {"caught in a net", "cut the net"}}, {1, {"under a branch", "lifted the branch"}},
    {1, {"in a deep hole", "let down a rope"}}};
/* what one learns, how it is when one can, how it is before */
static const ane_word skills[] = {{2, {"swim", "swam across the water", "went under the water"}},
    {2, {"ride a bike", "rode the bike", "fell off the bike"}},
    {1, {"climb a tree", "climbed up the tree", "slid down the tree"}}, {1, {"dance", "danced", "fell over"}},
    {1, {"whistle", "whistled a song", "made no sound"}}};
static const ane_word joys[] = {{3, {"happy"}}, {2, {"glad"}}, {1, {"proud"}}};
static const ane_word sorrows[] = {{3, {"sad"}}, {1, {"upset"}}, {1, {"worried"}}};

static const ane_variable variables[] = {
    WORDS('h', heroes),
    WORDS('a', traits),
    WORDS('f', friends),
    WORDS('n', names),
    WORDS('p', places),
    WORDS('o', things),
    WORDS('c', colours),
    WORDS('q', elders),
    WORDS('g', foods),
    WORDS('w', weathers),
    WORDS('k', nights),
    WORDS('u', corners),
    WORDS('t', troubles),
    WORDS('l', skills),
    WORDS('e', joys),
    WORDS('s', sorrows),
};

#define OPENING                                                                                              \
    ONE_OF({4, "Once upon a time there was a {a} {h4} named {h}."},                                          \
        {2, "There once was a {a} {h4} called {h}."}, {2, "{h} was a {a} {h4}."})

static const ane_plot plots[] = {
    {3, /* something is lost */
        {
            OPENING,
            ONE_OF({3, "{H1} had a {c} {o} and loved to {o1} it."}, {2, "Every day {h1} {o2} {h2} {c} {o}."},
                {1, "More than anything, {h} loved {h2} {c} {o}."}),
            ONE_OF(
                {3, "One {w} day, {h} took the {o} {p2}."}, {1, "On a {w} day {h1} went {p2} with the {o}."}),
            ONE_OF({2, "But when {h1} sat down to rest, the {o} was gone."},
                {1, "But {h1} ran after a butterfly and lost the {o}."}),
            ONE_OF({2, "{h} was very {s}."}, {1, "{H1} was {s} and began to cry."},
                {2, "\"Oh no! Where is my {o}?\" said {h}."}),
            ONE_OF(
                {2, "A {f} named {n} heard {h3} and {f2} over."}, {1, "Just then a {f} called {n} came by."}),
            ONE_OF({2, "\"{f1}! I will help you,\" said {n}."},
                {1, "\"We can look for it together,\" said the {f}."}),
            ONE_OF({2, "They looked {p3} and {p4}, and there was the {o}!"},
                {1, "{n} {f2} all around and found the {o} {p3}."}),
            ONE_OF({2, "\"Thank you, {n}!\" said {h}, and {h1} was {e} again."},
                {1, "From that day on, {h} and {n} were best friends."}),
        }},
    {2, /* something is shared */
        {
            OPENING,
            ONE_OF({2, "One {w} day, {h1} walked {p2} with {g}."},
                {1, "{H2} {q} gave {h3} {g}, and {h1} took it {p2}."}),
            ONE_OF({2, "There {h} met a {f}."}, {1, "A {f} was sitting {p3}."},
                {1, "A {f} {f2} up to {h} and looked at the {g1}."}),
            ONE_OF({2, "\"{f1}! I am so hungry,\" said the {f}."},
                {1, "The {f} was {s} because it had nothing to eat."}),
            ONE_OF({1, "{h} was hungry, too, but {h1} was kind."},
                {1, "{h} thought about it, and then {h1} smiled."}),
            ONE_OF({2, "\"We can share,\" {h1} said, and gave the {f} half of the {g1}."},
                {1, "{H1} broke the {g1} in two and gave one half to the {f}."}),
            ONE_OF({2, "The {f} ate it all and was very {e}."},
                {1, "\"Thank you!\" said the {f}. \"You are so kind.\""}),
            ONE_OF({2, "After that, {h} and the {f} were best friends."},
                {1, "{h} learned that it is good to share."},
                {1, "{h} went home and told {h2} {q} all about it."}),
        }},
    {2, /* someone needs help */
        {
            OPENING,
            ONE_OF({2, "On a {w} day {h} and {h2} {q} went {p2}."},
                {1, "On a {w} day {h1} went for a walk {p1}."}),
            ONE_OF({2, "Suddenly {h1} heard a loud \"{f1}!\""}, {1, "Then {h1} heard something {p3}."}),
            ONE_OF({2, "It was a small {f}, and it was {t}."}, {1, "A poor little {f} was {t}."}),
            ONE_OF({1, "\"Please help me!\" said the {f}."},
                {2, "\"Do not be {s}. I will help you,\" said {h}."}),
            ONE_OF({2, "{h} {t1} until the {f} was free."},
                {1, "{H1} was not afraid. {H1} {t1}, and it was free."}),
            ONE_OF({2, "\"{f1}! Thank you, {h}!\" said the {f}."},
                {1, "The {f} {f2} around {h3} and was very {e}."}),
            ONE_OF({2, "{h} named it {n}, and they played until the sun went down."},
                {1, "\"My name is {n},\" it said, and they became friends."}),
        }},
    {2, /* a noise in the night */
        {
            OPENING,
            ONE_OF(
                {2, "One {k} night, {h} could not sleep."}, {1, "It was a {k} night, and {h1} lay in bed."}),
            ONE_OF({2, "{H1} heard a strange noise {u}."}, {1, "Then something made a noise {u}."}),
            ONE_OF({2, "{h} was so scared that {h1} called for {h2} {q}."},
                {1, "\"Who is there?\" said {h} to {h2} {q}."}),
            ONE_OF({2, "{H2} {q} took a {c} lamp, and they went to look."},
                {1, "{H2} {q} came in and held {h2} hand."}),
            ONE_OF(
                {2, "\"{f1}!\" It was only a little {f}!"}, {1, "They looked {u} and found a little {f}."}),
            ONE_OF({2, "The {f} was hungry, so they gave it {f3}."},
                {1, "\"You can stay here,\" said {h} to the {f}."}),
            ONE_OF({2, "{h} laughed and was not scared any more."},
                {1, "They called it {n}, and it slept next to {h}."},
                {1, "Soon {h} and the {f} were fast asleep."}),
        }},
    {2, /* a present */
        {
            OPENING,
            ONE_OF(
                {2, "It was the birthday of {h2} {q}."}, {1, "{H1} wanted to make a present for {h2} {q}."}),
            ONE_OF({2, "\"I will make a {c} {o},\" said {h}."}, {1, "{h} wanted to make a {c} {o}."}),
            ONE_OF({1, "{H1} found some wood and some paper {p3}."},
                {1, "{H1} sat down {p1} and worked all day."}),
            ONE_OF({2, "But the {o} broke, and {h} was {s}."}, {1, "But the {o} did not look very good."}),
            ONE_OF({2, "\"I will try again,\" said {h}."}, {1, "A {f} named {n} {f2} over and helped {h3}."}),
            ONE_OF({2, "At last the {c} {o} was ready."}, {1, "In the end it was the best {o} of all."}),
            ONE_OF({2, "\"Happy birthday!\" said {h}, and {h2} {q} was very {e}."},
                {1, "{H2} {q} smiled and {o2} it all day."}),
        }},
    {2, /* something is learnt */
        {
            OPENING,
            ONE_OF({2, "{h} wanted to {l} like {h2} {q}."},
                {1, "All the children could {l}, but {h} could not."}),
            ONE_OF({2, "One {w} day, {h1} went {p2} to try it."}, {1, "{H1} tried it {p1} on a {w} day."}),
            ONE_OF({2, "But {h1} {l2} and was very {s}."}, {1, "At first {h1} {l2}."}),
            ONE_OF({2, "\"I can not do it,\" said {h}."}, {1, "{H1} wanted to stop and go home."}),
            ONE_OF({2, "\"You can do it!\" said {h2} {q}."}, {1, "\"{f1}! Try again!\" said a {f}."}),
            ONE_OF({2, "So {h} tried again and again."}, {1, "So {h} took a deep breath and tried again."}),
            ONE_OF({2, "And then {h1} {l1}!"}, {1, "Soon {h} {l1} all by {h5}."}),
            ONE_OF({2, "{h} was {e}, and {h2} {q} was {e}, too."}, {1, "Now {h} was very {e}."}),
        }},
};

const ane_grammar *ane_story_grammar(void) {
    static const ane_grammar grammar = {
        variables, sizeof variables / sizeof *variables, plots, sizeof plots / sizeof *plots};
    return &grammar;
}
