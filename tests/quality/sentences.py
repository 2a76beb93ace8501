"""What voices say when they are judged: ten plain sentences, written for this project."""

SENTENCES = (
    "The harbour was quiet when we arrived, and the boats lay still in the morning light.",
    "Please bring me a cup of coffee and two slices of bread.",
    "He walked along the river until the sun went down behind the hills.",
    "My sister bought a new car last week, but she does not like to drive it.",
    "The children played in the garden while their mother was reading a book.",
    "We have to leave early tomorrow because the train does not wait.",
    "Nobody in the village could remember such a cold winter.",
    "The doctor told him to stay in bed and to drink a lot of water.",
    "There is a small house at the end of the road.",
    "I will call you again when the work is finished.",
)
